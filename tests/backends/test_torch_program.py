"""The torch backend compared with the contract of harness.spec, which numpy_training implements by hand."""

import os
import shutil

import numpy as np
import pytest

from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Reshape
from harness.network import Network
from harness.reference.training import NumpyTraining
from harness.spec.backend import Plan, Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.task import Adam, Classification, Penalty, RmsProp, Sgd, Task
from harness_torch import harness_backend

torch = pytest.importorskip("torch")

# torch's own compiler uses what torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")

BACKEND = harness_backend("torch")
CLASSES = 5
RATE = 0.25
# Height, width and channels all differ, and the pool drops a row: confused axes would show.
PICTURES = Network(
    (11, 8, 3),
    (
        Conv2D(4, 3, "relu"),
        MaxPool2D(2),
        Conv2D(6, 2, "relu"),
        Flatten(),
        Dense(7, "relu"),
        Dense(CLASSES),
    ),
)
NETWORKS = {
    "convolutions": PICTURES,
    "pool last": Network((7, 10, 2), (Conv2D(3, 2), MaxPool2D(2), Flatten(), Dense(CLASSES))),
    "flatten first": Network((3, 4, 2), (Flatten(), Dense(6, "relu"), Dense(CLASSES))),
    "dropout between": Network((5, 4, 3), (Dropout(0.0), Flatten(), Dropout(0.0), Dense(CLASSES))),
    "vectors": Network((9,), (Dense(6, "relu"), Flatten(), Dense(CLASSES))),
    # No dense layer stands where pictures become features and features pictures.
    "rows as a sequence": Network(
        (4, 3, 2), (Flatten(), Dropout(0.0), Reshape((4, 6)), Flatten(), Dense(CLASSES))
    ),
    "flattened twice": Network((3, 4, 2), (Flatten(), Flatten(), Dense(CLASSES))),
    "another picture": Network(
        (4, 3, 2), (Conv2D(2, 1), Flatten(), Reshape((2, 3, 4)), Conv2D(3, 2), Flatten(), Dense(CLASSES))
    ),
    "features as a picture": Network((24,), (Reshape((4, 3, 2)), Conv2D(3, 2), Flatten(), Dense(CLASSES))),
}
# Epsilons large enough to show their positions.
OPTIMIZERS = {
    "sgd": Sgd(0.1),
    "momentum": Sgd(0.1, momentum=0.9),
    "nesterov": Sgd(0.1, momentum=0.9, nesterov=True),
    "adam": Adam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "rmsprop": RmsProp(0.01, rho=0.8, epsilon=1e-3),
}
NO_PENALTY = Penalty()
PENALTIES = {"l1": Penalty(l1=0.01), "l2": Penalty(l2=0.02), "both": Penalty(l1=0.01, l2=0.02)}
#: Blocks of steps; the last is the short batch that ends an epoch.
BLOCKS = ((1, 8), (4, 8), (2, 8), (1, 3))
SAMPLES = 40


@pytest.fixture(autouse=True, scope="module")
def _imported():
    threads = torch.get_num_threads()
    BACKEND.environment(1)
    yield
    torch.set_num_threads(threads)


def _task(network=PICTURES, optimizer=OPTIMIZERS["sgd"], penalty=NO_PENALTY):
    return Task(
        name="small",
        version=1,
        networks={"model": network},
        objective=Classification(),
        optimizer=optimizer,
        batch_size=8,
        epochs=1,
        penalty=penalty,
    )


def _samples(network, precision="float64", count=SAMPLES):
    random = np.random.default_rng(7)
    inputs = random.standard_normal((count, *network.input_shape))
    return Samples(
        inputs.astype("f8" if precision == "float64" else "f4"), random.integers(0, CLASSES, count)
    )


def _weights(task):
    random = np.random.default_rng(8)
    return {name: 0.3 * random.standard_normal(p.shape) for name, p in task.parameters().items()}


def _blocks():
    random = np.random.default_rng(9)
    return [random.integers(0, SAMPLES, block) for block in BLOCKS]


def _program(task, mode="eager", precision="float64", seed=3):
    data = _samples(task.networks["model"], precision)
    try:
        program = BACKEND.build(
            Plan(task=task, mode=mode, device="cpu", precision=precision, threads=1, seed=seed), data
        )
    except Unsupported as error:
        pytest.skip(str(error))
    program.load(_weights(task))
    return program


def _trained(program):
    losses = np.concatenate([program.train(Steps(block)) for block in _blocks()])
    program.synchronize()
    return losses


def _assert_near(actual, expected, name=""):
    assert actual.dtype == np.float64
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-9 * np.abs(expected).max(), name


def _assert_the_contracts_training(mode, **changes):
    task = _task(**changes)
    data = _samples(task.networks["model"])
    reference = NumpyTraining(task, data.inputs, data.targets, _weights(task))
    program = _program(task, mode)
    _assert_near(_trained(program), np.concatenate([reference.train(Steps(block)) for block in _blocks()]))
    assert list(program.weights()) == list(task.parameters())
    for name, array in program.weights().items():
        _assert_near(array, reference.weights[name], name)
    _assert_near(program.predict(data.inputs), reference.predict(data.inputs))


# --- The same maths ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(mode, optimizer):
    _assert_the_contracts_training(mode, optimizer=OPTIMIZERS[optimizer])


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties(mode, penalty):
    _assert_the_contracts_training(mode, penalty=PENALTIES[penalty])


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(mode, network):
    _assert_the_contracts_training(mode, network=NETWORKS[network])


@pytest.mark.slow  # compiled
def test_compiled():
    _assert_the_contracts_training("compile", optimizer=OPTIMIZERS["adam"], penalty=PENALTIES["both"])


@pytest.mark.slow  # three programs are compiled
def test_every_program_of_a_process_is_compiled():
    # torch stops compiling, with a line in a log, once the same code was compiled this many times.
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    compiled = []
    with config.patch(recompile_limit=1):
        for width in (3, 4, 5):
            counters.clear()
            task = _task(Network((4,), (Dense(width, "tanh"), Dense(CLASSES))))
            _trained(_program(task, "compile"))
            compiled.append(counters["stats"]["unique_graphs"])
    assert all(compiled), compiled


def test_the_loss_includes_the_penalty():
    weights = _weights(_task())
    kernels = [array for name, array in weights.items() if name.endswith("kernel")]
    added = sum(0.01 * np.abs(kernel).sum() + 0.02 * (kernel**2).sum() for kernel in kernels)
    plain, penalized = (_trained(_program(_task(penalty=p)))[0] for p in (NO_PENALTY, PENALTIES["both"]))
    assert penalized - plain == pytest.approx(added, rel=1e-9)


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_how_steps_are_cut_into_blocks_does_not_matter(mode):
    task = _task(optimizer=OPTIMIZERS["adam"])
    indices = np.random.default_rng(1).integers(0, SAMPLES, (6, 8))
    whole, cut = _program(task, mode), _program(task, mode)
    losses = whole.train(Steps(indices))
    assert np.array_equal(
        losses, np.concatenate([cut.train(Steps(part)) for part in np.split(indices, [1, 4])])
    )
    for name, array in whole.weights().items():
        assert np.array_equal(array, cut.weights()[name])


def test_scoring_between_blocks_changes_nothing():
    task = _task(network=Network((9,), (Dense(16, "relu"), Dropout(RATE), Dense(CLASSES))))
    plain = _trained(_program(task))
    program, scored = _program(task), []
    for block in _blocks():
        scored.append(program.train(Steps(block)))
        program.predict(_samples(task.networks["model"]).inputs)
    assert np.array_equal(np.concatenate(scored), plain)


# --- Weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["eager", "channels_last", "compile"])
@pytest.mark.parametrize("network", NETWORKS)
def test_weights_come_back_bit_for_bit(mode, network):
    task = _task(network=NETWORKS[network])
    expected = _weights(task)
    weights = _program(task, mode).weights()
    assert list(weights) == list(expected)
    for name, array in weights.items():
        assert array.shape == expected[name].shape
        assert array.tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_weights_read_and_loaded_are_copies(mode):
    task = _task()
    program = _program(task, mode)
    loaded = _weights(task)
    program.load(loaded)
    read = program.weights()
    _trained(program)
    for name, array in _weights(task).items():
        assert np.array_equal(read[name], array), name
        assert np.array_equal(loaded[name], array), name
        assert not np.array_equal(program.weights()[name], array), name


def test_weights_that_were_kept_can_be_loaded_to_score():
    task = _task()
    program = _program(task)
    inputs = _samples(PICTURES).inputs
    before = program.predict(inputs)
    kept = program.weights()
    _trained(program)
    assert not np.allclose(program.predict(inputs), before)
    program.load(kept)
    assert np.array_equal(program.predict(inputs), before)


def test_loading_leaves_the_optimizers_state():
    task = _task(optimizer=OPTIMIZERS["momentum"])
    program, reference = _program(task), _program(task)
    indices = _blocks()[1]
    program.train(Steps(indices))
    reference.train(Steps(indices))
    program.load(program.weights())
    assert np.array_equal(program.train(Steps(indices)), reference.train(Steps(indices)))


def test_training_leaves_the_data_as_it_was():
    for mode in ("eager", "channels_last"):
        task = _task()
        data = _samples(PICTURES)
        program = BACKEND.build(
            Plan(task=task, mode=mode, device="cpu", precision="float64", threads=1, seed=0), data
        )
        _trained(program)
        assert np.array_equal(data.inputs, _samples(PICTURES).inputs)
        assert np.array_equal(data.targets, _samples(PICTURES).targets)


# --- Predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("count", [1, 499, 500, 501, 1001])
def test_any_number_of_inputs_can_be_predicted(mode, count):
    task = _task()
    data = _samples(PICTURES, count=count)
    reference = NumpyTraining(task, data.inputs, data.targets, _weights(task))
    predicted = _program(task, mode).predict(data.inputs)
    assert predicted.shape == (count, CLASSES)
    _assert_near(predicted, reference.predict(data.inputs))


# --- Dropout -------------------------------------------------------------------------------------

WIDTH = 4000


def _mask(seed, steps=1):
    """Scales that dropout gave ones in the last of these steps: the kernel's change over the bias's."""
    network = Network((WIDTH,), (Dropout(RATE), Dense(CLASSES)))
    zeros = {"model/dense_1/kernel": np.zeros((WIDTH, CLASSES)), "model/dense_1/bias": np.zeros(CLASSES)}
    plan = Plan(
        task=_task(network, Sgd(1.0)), mode="eager", device="cpu", precision="float64", threads=1, seed=seed
    )
    program = BACKEND.build(plan, Samples(np.ones((1, WIDTH)), np.zeros(1, np.int64)))
    for _ in range(steps):
        program.load(zeros)
        program.train(Steps(np.zeros((1, 1), np.int64)))
    weights = program.weights()
    return weights["model/dense_1/kernel"][:, 0] / weights["model/dense_1/bias"][0]


def test_dropout_zeroes_a_fraction_and_scales_the_rest():
    mask = _mask(seed=0)
    np.testing.assert_allclose(mask[mask != 0], 1 / (1 - RATE))
    assert abs((mask == 0).mean() - RATE) < 0.03  # over 4 standard deviations


def test_masks_follow_from_the_seed_and_differ_between_steps():
    assert np.array_equal(_mask(seed=0, steps=2), _mask(seed=0, steps=2))
    masks = {_mask(*key).tobytes() for key in ((0, 1), (0, 2), (1, 1), (1, 2))}
    assert len(masks) == 4


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_dropout_is_off_in_prediction_even_after_training(mode):
    network = Network((4, 3, 2), (Dropout(RATE), Flatten(), Dropout(RATE), Dense(CLASSES)))
    task = _task(network)
    program = _program(task, mode)
    program.train(Steps(_blocks()[0]))
    data = _samples(network)
    weights = program.weights()
    expected = (
        data.inputs.reshape(SAMPLES, -1) @ weights["model/dense_1/kernel"] + weights["model/dense_1/bias"]
    )
    _assert_near(program.predict(data.inputs), expected)


# --- Precisions, devices, environment ------------------------------------------------------------


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_lower_precisions_stay_near(mode):
    exact = _trained(_program(_task(), mode))
    found = {}
    for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.05)):
        program = _program(_task(), mode, precision)
        found[precision] = _trained(program)
        np.testing.assert_allclose(found[precision], exact, rtol=tolerance)
        assert found[precision].dtype == np.float32
        assert program.predict(_samples(PICTURES, precision).inputs).dtype == np.float32
        assert {array.dtype for array in program.weights().values()} == {np.dtype("f4")}
    assert np.abs(found["bfloat16"] / found["float32"] - 1).max() > 1e-4


@pytest.mark.parametrize("optimizer", [Sgd(1e300), Sgd(1e38), Adam(1e38), RmsProp(1e300)])
def test_a_learning_rate_beyond_float32_makes_the_loss_infinite_and_raises_nothing(optimizer):
    task = Task(
        name="test",
        version=1,
        networks={"model": PICTURES},
        objective=Classification(),
        optimizer=optimizer,
        batch_size=4,
        epochs=1,
    )
    losses = _trained(_program(task, precision="float32"))
    assert np.isfinite(losses[0])
    assert not np.isfinite(losses[-1])


def test_the_program_names_its_device():
    program = _program(_task())
    assert program.device == "cpu"
    assert program.device_peak_memory_bytes() is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_missing_gpu_is_refused_with_the_reason(device):
    plan = Plan(task=_task(), mode="eager", device=device, threads=1, seed=0)
    with pytest.raises(Unsupported, match=rf"sees no {device} device; use --device cpu"):
        BACKEND.build(plan, _samples(PICTURES, "float32"))


def test_compiling_without_a_compiler_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CXX", raising=False)
    assert not shutil.which("g++")
    plan = Plan(task=_task(), mode="compile", device="cpu", threads=1, seed=0)
    with pytest.raises(
        Unsupported, match=r"needs a C\+\+ compiler, but g\+\+ is missing; .* apt install g\+\+"
    ):
        BACKEND.build(plan, _samples(PICTURES, "float32"))


def test_the_environment_is_reported_and_the_threads_are_set():
    assert BACKEND.environment(2)["engine"] == "torch"
    assert torch.get_num_threads() == 2
    reported = BACKEND.environment(1)
    assert torch.get_num_threads() == 1
    assert torch.__version__.startswith(reported["torch"].partition("+")[0])
    assert reported["debug_build"] == "false"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_plugin_answers_to_its_name_only():
    assert harness_backend("torch").modes == ("eager", "compile", "channels_last")
    assert harness_backend("keras-torch") is None
