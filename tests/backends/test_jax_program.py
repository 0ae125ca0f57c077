"""The JAX backend: compared with the torch backend in float64, and its loop and convolutions."""

import re
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from harness.layers import (
    GRU,
    LSTM,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    Reshape,
)
from harness.network import Network
from harness.spec.backend import Plan, Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.task import (
    Adam,
    Adversarial,
    Augmentation,
    Classification,
    Penalty,
    Regression,
    RmsProp,
    Sgd,
    Task,
)
from harness.training.initial import initial_weights
from harness_jax import harness_backend as jax_plugin
from harness_torch import harness_backend as torch_plugin

# Frameworks start and compile in processes of their own, which a busy machine makes slow.
pytestmark = pytest.mark.timeout(900)

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

# environment() is not called here: it would narrow the processors of the whole test run.
JAX, TORCH = jax_plugin("jax"), torch_plugin("torch")
CLASSES, SAMPLES, LATENTS, RATE = 5, 40, 6, 0.25

DENSE = Network((9,), (Dense(6, "relu"), Dense(CLASSES)))
# Height, width and channels all differ; paddings are uneven, and the pool drops a row.
PICTURES = Network(
    (11, 8, 3),
    (
        Conv2D(4, 3, "relu"),
        MaxPool2D(2),
        Conv2D(6, 2, "leaky_relu", strides=2, padding="same"),
        Dropout(0.0),
        Flatten(),
        Dense(7, "tanh"),
        Dense(CLASSES),
    ),
)
STRIDES = Network(
    (12, 9, 2),
    (
        Conv2D(4, 3, "relu", strides=2),
        Conv2D(3, 4, "sigmoid", strides=3, padding="same"),
        Flatten(),
        Dense(5),
    ),
)
TRANSPOSED = Network(
    (6,),
    (
        Dense(12),
        Reshape((2, 3, 2)),
        ConvTranspose2D(3, 5, 3, "leaky_relu"),
        ConvTranspose2D(2, 4, 2),
        ConvTranspose2D(2, 2, 2, "relu"),
        Flatten(),
        Dense(CLASSES),
    ),
)
SEQUENCES = Network(
    (7, 3),
    (GRU(4, bidirectional=True, return_sequences=True), LSTM(3, return_sequences=True), GRU(3), Dense(2)),
)
LAST_OUTPUTS = Network(
    (7, 3), (LSTM(3, bidirectional=True), Reshape((3, 2)), GRU(3, bidirectional=True), Dense(2))
)
GENERATOR = Network(
    (LATENTS,),
    (
        Dense(30),
        Reshape((3, 2, 5)),
        ConvTranspose2D(4, 4, 2, "leaky_relu"),
        ConvTranspose2D(3, 2, 2, "sigmoid"),
    ),
)
DISCRIMINATOR = Network(
    (12, 8, 3), (Conv2D(4, 4, "leaky_relu", strides=2, padding="same"), Flatten(), Dense(1))
)
ADVERSARIES = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}
# Epsilons large enough to show their positions.
OPTIMIZERS = {
    "sgd": Sgd(0.1),
    "momentum": Sgd(0.1, momentum=0.9),
    "nesterov": Sgd(0.1, momentum=0.9, nesterov=True),
    "adam": Adam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "adam without a mean": Adam(0.01, beta_1=0.0, beta_2=0.95, epsilon=1e-3),
    "rmsprop": RmsProp(0.01, rho=0.8, epsilon=1e-3),
}
ADAM = OPTIMIZERS["adam"]
BLOCKS = ((1, 8), (4, 8), (3, 8))
SHORT_BLOCK = (1, 3)  # another shape needs another compilation, which takes most of a test's time


#: Compilation takes most of the time of these tests, and its result need not be fast.
XLA_FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.fixture(autouse=True, scope="module")
def _compiled_quickly():
    """XLA reads its flags once, when a process first uses a device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", XLA_FLAGS)
        jax.devices()


@pytest.fixture(autouse=True, scope="module")
def _one_torch_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    jax.config.update("jax_enable_x64", False)


def _task(networks=DENSE, optimizer=OPTIMIZERS["sgd"], objective=None, **changes):
    networks = networks if isinstance(networks, dict) else {"model": networks}
    return Task(
        name="small",
        version=1,
        networks=networks,
        objective=objective or Classification(),
        optimizer=optimizer,
        batch_size=8,
        epochs=1,
        **changes,
    )


def _scored(task):
    return "discriminator" if isinstance(task.objective, Adversarial) else "model"


def _samples(task, precision="float64", count=SAMPLES):
    random = np.random.default_rng(7)
    dtype = "f8" if precision == "float64" else "f4"
    inputs = random.standard_normal((count, *task.networks[_scored(task)].input_shape)).astype(dtype)
    if isinstance(task.objective, Regression):
        return Samples(inputs, random.standard_normal((count, 2)).astype(dtype))
    return Samples(inputs, random.integers(0, CLASSES, count))


def _weights(task):
    """Initial weights with biases that are not zero, large enough for every layer to matter."""
    random = np.random.default_rng(8)
    return {name: w + 0.2 * random.standard_normal(w.shape) for name, w in initial_weights(task, 4).items()}


def _blocks(task, shapes=BLOCKS):
    random = np.random.default_rng(9)
    adversarial = isinstance(task.objective, Adversarial)
    flip, crop = task.augmentation.flip, task.augmentation.crop
    for shape in shapes:
        yield Steps(
            random.integers(0, SAMPLES, shape),
            latents=random.standard_normal((*shape, LATENTS)) if adversarial else None,
            flips=random.random(shape) < 0.5 if flip else None,
            offsets=random.integers(0, 2 * crop + 1, (*shape, 2)) if crop else None,
        )


def _forget_compiled():
    from harness_jax import compiled  # imports JAX

    compiled.forget()


def _program(task, precision="float64", backend=JAX, seed=3, data=None):
    plan = Plan(task=task, mode=backend.modes[0], device="cpu", precision=precision, threads=1, seed=seed)
    program = backend.build(plan, data or _samples(task, precision))
    program.load(_weights(task))
    return program


def _trained(program, task, shapes=BLOCKS):
    losses = np.concatenate([program.train(steps) for steps in _blocks(task, shapes)])
    program.synchronize()
    return losses


def _assert_near(actual, expected, name):
    assert actual.dtype == expected.dtype == np.float64
    assert actual.shape == expected.shape, name
    assert np.abs(actual - expected).max() <= 1e-12 * np.abs(expected).max(), name


def _assert_as_torch(task, shapes=BLOCKS, *, predictions=True):
    mine, reference = (_program(task, backend=backend) for backend in (JAX, TORCH))
    _assert_near(_trained(mine, task, shapes), _trained(reference, task, shapes), "losses")
    expected = reference.weights()
    assert list(mine.weights()) == list(expected) == list(task.parameters())
    for name, array in mine.weights().items():
        _assert_near(array, expected[name], name)
    for name, network in task.networks.items() if predictions else ():
        inputs = np.random.default_rng(5).standard_normal((9, *network.input_shape))
        _assert_near(mine.predict(inputs, name), reference.predict(inputs, name), f"outputs of {name}")


# --- The same maths ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_with_penalty_and_decay(optimizer):
    task = _task(DENSE, OPTIMIZERS[optimizer], penalty=Penalty(l1=0.01, l2=0.02), weight_decay=0.1)
    _assert_as_torch(task, predictions=False)


@pytest.mark.parametrize(
    "network", [PICTURES, STRIDES, TRANSPOSED], ids=["pictures", "strides", "transposed"]
)
def test_layers_of_pictures(network):
    _assert_as_torch(_task(network, ADAM))


@pytest.mark.parametrize(
    "network",
    [pytest.param(SEQUENCES, marks=pytest.mark.slow), LAST_OUTPUTS],
    ids=["sequences", "last outputs"],
)
def test_layers_of_sequences_and_regression(network):
    task = _task(network, ADAM, Regression(), penalty=Penalty(l2=0.02), weight_decay=0.1)
    _assert_as_torch(task)


def test_a_short_last_batch():
    _assert_as_torch(_task(), shapes=(*BLOCKS, SHORT_BLOCK, (2, 8)), predictions=False)


@pytest.mark.parametrize("augmentation", [(True, 0), (False, 2), (True, 2)], ids=["flip", "crop", "both"])
def test_augmentation_and_class_weights(augmentation):
    network = Network((6, 7, 2), (Conv2D(3, 3, "relu"), Flatten(), Dense(CLASSES)))
    objective = Classification((0.5, 1.0, 2.0, 1.5, 0.7))
    _assert_as_torch(
        _task(network, objective=objective, augmentation=Augmentation(*augmentation)), predictions=False
    )


def test_adversaries():
    penalty = Penalty(l1=0.001, l2=0.002)
    _assert_as_torch(_task(ADVERSARIES, ADAM, Adversarial(LATENTS), penalty=penalty, weight_decay=0.1))


def test_the_first_of_equal_maxima_gets_the_gradient():
    # Small whole numbers and a ReLU that is often off: nearly every window holds a tie.
    network = Network(
        (9, 8, 2), (Conv2D(3, 2, "relu"), MaxPool2D(2), MaxPool2D(3), Flatten(), Dense(CLASSES))
    )
    random = np.random.default_rng(2)
    data = Samples(
        random.integers(-1, 2, (SAMPLES, 9, 8, 2)).astype(float), random.integers(0, CLASSES, SAMPLES)
    )
    task = _task(network)
    whole = {name: np.round(2 * w) for name, w in _weights(task).items()}
    plain, reference = (_program(task, backend=backend, data=data) for backend in (JAX, TORCH))
    steps = Steps(np.arange(8)[None])
    for program in (plain, reference):
        program.load(whole)
        program.train(steps)
    for name, array in plain.weights().items():
        _assert_near(array, reference.weights()[name], name)


def test_a_nan_passes_the_pool_wherever_it_stands():
    task = _task(Network((2, 2, 1), (MaxPool2D(2), Flatten(), Dense(CLASSES))))
    inputs = np.zeros((4, 4))
    np.fill_diagonal(inputs, np.nan)
    assert np.isnan(_program(task).predict(inputs.reshape(4, 2, 2, 1))).all()


# --- Convolutions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "size", "strides", "padding"),
    [
        (2, 3, 2, 1),
        (8, 1, 2, 0),
        (8, 3, 1, "same"),  # summed in four parts of the batch
        pytest.param(3, 3, 1, 1, marks=pytest.mark.slow),
        pytest.param(2, 3, 2, "same", marks=pytest.mark.slow),
        pytest.param(2, 3, 3, "valid", marks=pytest.mark.slow),
    ],
)
def test_all_forms_of_a_convolution_agree(batch, size, strides, padding):
    from harness_jax import convolutions

    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(1)
    layer = Conv2D(9, size, strides=strides, padding=padding)
    shape = (8, 11, 3)
    x = random.standard_normal((batch, *shape))
    kernel = random.standard_normal((size, size, 3, 9))
    seed = random.standard_normal((batch, *layer.output_shape(shape)))
    found = []
    for form in ("xla_convolution", "ordered_convolution", "cpu_convolution", "matmul_convolution"):
        both = convolutions.Convolutions(getattr(convolutions, form), None)
        y, back = jax.vjp(lambda x, k, both=both: both.convolve(layer, shape, x, k), x, kernel)
        found.append((y, *back(seed)))
    for arrays in found[1:]:
        for actual, expected in zip(arrays, found[0], strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel_size", "strides"), [(4, 2), pytest.param(5, 3, marks=pytest.mark.slow)])
def test_both_forms_of_a_transposed_convolution_agree(kernel_size, strides):
    from harness_jax import convolutions

    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(1)
    layer = ConvTranspose2D(4, kernel_size, strides)
    x = random.standard_normal((2, 3, 5, 3))
    kernel = random.standard_normal((kernel_size, kernel_size, 3, 4))
    seed = random.standard_normal((2, *layer.output_shape((3, 5, 3))))
    (y, back), (expected, expected_back) = (
        jax.vjp(lambda x, k, form=form: form(layer, x, k), x, kernel)
        for form in (convolutions.matmul_transposed, convolutions.xla_transposed)
    )
    for actual, wanted in zip((y, *back(seed)), (expected, *expected_back(seed)), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)


def test_convolutions_on_the_cpu_have_the_fast_order_of_axes():
    # In another order the cnn's step takes ten times as long; see harness_jax.convolutions.
    task = _task(PICTURES)
    program = _program(task, "float32")
    (_, draws), *_ = program._calls(next(_blocks(task)))
    compiled = program._train_block.lower(program._state, program._given, draws, np.int32(1)).compile()
    convolutions = re.findall(r" convolution\(.*?dim_labels=([\w>-]+)", compiled.as_text())
    assert set(convolutions) == {"b01f_01io->b01f"}
    assert "rhs_reversal" not in compiled.as_text()


# --- The loop ------------------------------------------------------------------------------------


def test_how_steps_are_cut_into_blocks_does_not_matter_and_compiles_once():
    network = Network((9,), (Dense(16, "relu"), Dropout(RATE), Dense(CLASSES)))
    task = _task(network, ADAM)
    indices = np.random.default_rng(1).integers(0, SAMPLES, (12, 8))  # more than one call of the loop
    _forget_compiled()
    whole, cut = _program(task), _program(task)
    losses = whole.train(Steps(indices))
    parts = [cut.train(Steps(part)) for part in np.split(indices, [1, 4])]
    assert np.array_equal(losses, np.concatenate(parts))
    for name, array in whole.weights().items():
        assert np.array_equal(array, cut.weights()[name])
    assert cut._train_block._cache_size() == 1


def test_programs_that_compute_the_same_share_compiled_code():
    task = _task(optimizer=ADAM)
    renamed = msgspec.structs.replace(task, name="another", epochs=7)
    assert _program(task)._train_block is _program(renamed)._train_block
    faster = msgspec.structs.replace(task, optimizer=msgspec.structs.replace(ADAM, learning_rate=0.5))
    assert _program(task)._train_block is _program(faster)._train_block
    other = msgspec.structs.replace(task, optimizer=msgspec.structs.replace(ADAM, beta_1=0.5))
    assert _program(task)._train_block is not _program(other)._train_block
    assert _program(task)._predictors["model"] is _program(other)._predictors["model"]


def test_scoring_and_loading_between_blocks_change_nothing():
    task = _task(Network((9,), (Dense(16, "relu"), Dropout(RATE), Dense(CLASSES))), OPTIMIZERS["momentum"])
    expected = _trained(_program(task), task)
    program, losses = _program(task), []
    for steps in _blocks(task):
        losses.append(program.train(steps))
        program.predict(_samples(task).inputs)
        program.load(program.weights())
    assert np.array_equal(np.concatenate(losses), expected)


def test_programs_of_two_precisions_do_not_disturb_each_other():
    task = _task()
    expected = _trained(_program(task), task)
    program = _program(task)
    single = _program(task, "float32")
    steps = list(_blocks(task))
    found = []
    for block in steps:
        found.append(program.train(block))
        assert single.train(block).dtype == np.float32
    assert np.array_equal(np.concatenate(found), expected)


def test_weights_read_and_loaded_are_copies_and_the_data_stays():
    task = _task(PICTURES)
    data, loaded = _samples(task), _weights(task)
    program = _program(task, data=data)
    program.load(loaded)
    read = program.weights()
    _trained(program, task)
    for name, array in _weights(task).items():
        assert read[name].tobytes() == loaded[name].tobytes() == array.tobytes(), name
        assert not np.array_equal(program.weights()[name], array), name
    assert np.array_equal(data.inputs, _samples(task).inputs)


def test_any_number_of_inputs_can_be_predicted_by_three_compilations():
    task = _task()
    _forget_compiled()
    program, reference = _program(task), _program(task, backend=TORCH)
    for count in (1, 4, 5, 32, 33, 63, 64, 65, 129):
        inputs = _samples(task, count=count).inputs
        _assert_near(program.predict(inputs), reference.predict(inputs), str(count))
    assert program._predictors["model"]._cache_size() == 3


# --- Dropout -------------------------------------------------------------------------------------

WIDTH = 4000


def _mask(seed, steps=1):
    """Scales that dropout gave ones in the last of these steps: the kernel's change over the bias's."""
    task = _task(Network((WIDTH,), (Dropout(RATE), Dense(CLASSES))), Sgd(1.0))
    program = _program(task, seed=seed, data=Samples(np.ones((1, WIDTH)), np.zeros(1, np.int64)))
    zeros = {name: np.zeros_like(w) for name, w in _weights(task).items()}
    for _ in range(steps):
        program.load(zeros)
        program.train(Steps(np.zeros((1, 1), np.int64)))
    weights = program.weights()
    return weights["model/dense_1/kernel"][:, 0] / weights["model/dense_1/bias"][0]


def test_dropout_zeroes_a_fraction_scales_the_rest_and_follows_from_the_seed():
    masks = {key: _mask(*key) for key in ((0, 1), (0, 2), (1, 1))}
    assert np.array_equal(masks[0, 2], _mask(0, 2))
    assert len({mask.tobytes() for mask in masks.values()}) == 3
    for mask in masks.values():
        np.testing.assert_allclose(mask[mask != 0], 1 / (1 - RATE))
        assert abs((mask == 0).mean() - RATE) < 0.03  # over 4 standard deviations


def test_two_dropout_layers_have_different_masks():
    task = _task(Network((WIDTH,), (Dropout(0.5), Dropout(0.5), Dense(CLASSES))), Sgd(1.0))
    program = _program(task, data=Samples(np.ones((1, WIDTH)), np.zeros(1, np.int64)))
    program.load({name: np.zeros_like(w) for name, w in _weights(task).items()})
    program.train(Steps(np.zeros((1, 1), np.int64)))
    kept = program.weights()["model/dense_1/kernel"][:, 0] != 0
    assert abs(kept.mean() - 0.25) < 0.03


def test_dropout_is_off_in_prediction_even_after_training():
    task = _task(Network((9,), (Dropout(RATE), Dense(CLASSES))))
    program = _program(task)
    _trained(program, task)
    inputs, weights = _samples(task).inputs, program.weights()
    expected = inputs @ weights["model/dense_1/kernel"] + weights["model/dense_1/bias"]
    _assert_near(program.predict(inputs), expected, "outputs")


# --- Precisions, devices, environment ------------------------------------------------------------


def test_lower_precisions_stay_near():
    task = _task(PICTURES)
    exact = _trained(_program(task, backend=TORCH), task)
    found = {}
    for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.05)):
        program = _program(task, precision)
        found[precision] = _trained(program, task)
        np.testing.assert_allclose(found[precision], exact, rtol=tolerance)
        assert found[precision].dtype == np.float32
        assert program.predict(_samples(task, precision).inputs, _scored(task)).dtype == np.float32
        assert {array.dtype for array in program.weights().values()} == {np.dtype("f4")}
    assert np.abs(found["bfloat16"] / found["float32"] - 1).max() > 1e-4


def test_the_program_names_its_device():
    program = _program(_task())
    assert program.device == "cpu"
    assert program.device_peak_memory_bytes() is None


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_missing_gpu_is_refused_with_the_reason(device):
    if jax.default_backend() != "cpu":
        pytest.skip("this machine has a GPU")
    plan = Plan(task=_task(), mode="jit", device=device, threads=1, seed=0)
    with pytest.raises(Unsupported, match=rf"sees no {device} device; use --device cpu"):
        JAX.build(plan, _samples(_task(), "float32"))


ENVIRONMENT = """
import sys
from harness_jax import harness_backend
backend = harness_backend("jax")
assert "jax" not in sys.modules
reported = backend.environment(1)
import jax
assert jax.config.jax_default_matmul_precision == "highest"
assert reported["engine"] == "jax" and reported["jax"] == jax.__version__ and reported["jaxlib"], reported
"""


def test_the_environment_is_reported():
    done = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_plugin_answers_to_its_name_only():
    assert JAX.modes == ("jit",)
    assert jax_plugin("keras-jax") is None
