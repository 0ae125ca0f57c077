"""Programs of torch and JAX: the contract's training in float64, and what the contract says of a program.

Engines of Keras cannot share a process; `test_keras_programs` trains the same cases in theirs.
"""

import itertools
from typing import get_args

import msgspec
import numpy as np
import pytest
from support.training_cases import (
    ADAM,
    ADVERSARIES,
    BOTH,
    CLASSES,
    CONVOLUTIONS,
    LATENTS,
    MOMENTUM,
    RMSPROP,
    SAMPLES,
    TASKS,
    WEIGHTED,
    assert_near,
    assert_same_training,
    expected,
    program,
    results,
    samples,
    task,
    trained,
    weights,
)

from harness.core.reference.training import NumpyBackend
from harness.layers import (
    GRU,
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GroupNorm,
    LayerNorm,
    MaxPool2D,
    Reshape,
    Residual,
    SelfAttention,
    Skip,
    UpSample2D,
)
from harness.layers.elementary import ActivationName
from harness.network import Network
from harness.spec.backend import Plan, Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.schedules import CosineDecay
from harness.spec.task import LOSSES, Adversarial, Augmentation, BinaryClassification, Classification, Sgd
from harness_jax import harness_backend as jax_plugin
from harness_torch import harness_backend as torch_plugin

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

# JAX compiles in this process, which a busy machine makes slow. torch's compiler uses what torch deprecates.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("quick_xla"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning"),
]

# environment() is not called here: it would narrow the processors of the whole test run.
BACKENDS = {"torch": torch_plugin("torch"), "jax": jax_plugin("jax")}
CONFIGURATIONS = ["torch:eager", "torch:channels_last", "jax:jit"]
#: One of each backend, for what does not depend on the layout of pictures.
EACH_BACKEND = CONFIGURATIONS[::2]
RATE = 0.25

FURTHER = {
    # Where pictures become features and features pictures, with and without a dense layer there.
    "pool last": task(Network((7, 10, 2), (Conv2D(3, 2), MaxPool2D(2), Flatten(), Dense(CLASSES)))),
    "flatten first": task(Network((3, 4, 2), (Flatten(), Dense(6, "relu"), Dense(CLASSES)))),
    "flattened twice": task(Network((3, 4, 2), (Flatten(), Dropout(0.0), Flatten(), Dense(CLASSES)))),
    "rows as a sequence": task(
        Network((4, 3, 2), (Dropout(0.0), Flatten(), Reshape((4, 6)), Flatten(), Dense(CLASSES)))
    ),
    "another picture": task(
        Network(
            (4, 3, 2),
            (Conv2D(2, 1), Flatten(), Reshape((2, 3, 4)), Conv2D(3, 2), Flatten(), Dense(CLASSES)),
        )
    ),
    "features as a picture": task(
        Network((24,), (Reshape((4, 3, 2)), Conv2D(3, 2), Flatten(), Dense(CLASSES)))
    ),
    "order of features": task(
        Network(
            (4, 3, 2),
            (
                Residual(
                    (Flatten(), Dense(24, "tanh"), Activation("sigmoid"), Reshape((4, 3, 2))),
                    (Conv2D(2, 3, padding=1),),
                ),
                Residual((Flatten(),), (Flatten(), Activation("tanh"), Dense(24))),
                Dense(CLASSES),
            ),
        )
    ),
    "strides": task(
        Network(
            (12, 9, 2),
            (
                Conv2D(4, 3, "relu", strides=2),
                Conv2D(3, 4, "sigmoid", strides=3, padding="same"),
                Flatten(),
                Dense(CLASSES),
            ),
        )
    ),
    "transposed": task(
        Network(
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
        ),
        optimizer=ADAM,
    ),
    # What the first layer of a branch may not overwrite: the shortcut sees it too.
    "activation first": task(
        Network(
            (9,), (Dense(6, "tanh"), Residual((Activation("relu"), Dense(6))), Activation("relu"), Dense(5))
        )
    ),
    "u-net": task(
        Network(
            (4, 6, 2),
            (
                Skip((AveragePool2D(2), Skip((Conv2D(3, 2, "silu", padding="same"),)), UpSample2D(2))),
                LayerNorm(),
                Dense(4, "gelu_tanh"),
                Flatten(),
                Dense(CLASSES),
            ),
        )
    ),
    "sequence": task(
        Network(
            (9, 4),
            (
                Conv1D(6, 4, "gelu", strides=2, padding="same"),
                BatchNorm(),
                Residual((Conv1D(6, 3, padding=1, bias=False), Activation("relu"))),
                Skip((Dense(3),)),
                GlobalAveragePool(),
                Dense(CLASSES),
            ),
        )
    ),
    "segmentation": task(Network((4, 3, 2), (Conv2D(3, 3, "tanh", padding=1), Dense(CLASSES)))),
    "segmentation, mse_softmax": task(
        Network((4, 3, 2), (Conv2D(3, 3, "tanh", padding=1), Dense(CLASSES))),
        Classification((0.5, 2.0, 1.0, 1.5, 0.25), loss="mse_softmax"),
    ),
    # With a limit that no gradient reaches.
    "binary": task(
        Network((9,), (Dense(6), BatchNorm(), Activation("silu"), GroupNorm(2, epsilon=0.1), Dense(1))),
        BinaryClassification(),
        clip_norm=1e6,
    ),
    "activations": task(
        Network(
            (4,),
            (
                Dense(6),
                *(Residual((Dense(6, name), Activation(name))) for name in get_args(ActivationName)),
                Dense(CLASSES),
            ),
        )
    ),
    "rmsprop": task(Network((9,), (Dense(6, "relu"), Dense(CLASSES))), optimizer=RMSPROP),
    "adam without a mean": task(
        Network((9,), (Dense(6, "relu"), Dense(CLASSES))),
        optimizer=msgspec.structs.replace(ADAM, beta_1=0.0),
        weight_decay=0.1,
    ),
}
#: One of each that a compiler could make wrong, in a network that is small enough to compile again and again.
TOGETHER = task(
    Network(
        (6, 6, 2),
        (
            Conv2D(4, 3, "leaky_relu", padding="same"),
            BatchNorm(),
            MaxPool2D(2),
            Flatten(),
            Reshape((9, 4)),
            Residual((LayerNorm(), SelfAttention(2))),
            GlobalAveragePool(),
            Dense(CLASSES),
        ),
    ),
    WEIGHTED,
    ADAM,
    schedule=CosineDecay(),
    clip_norm=0.2,
    weight_decay=0.7,
    penalty=BOTH,
    augmentation=Augmentation(flip=True, crop=1),
)
CASES = TASKS | FURTHER | {"together": TOGETHER}
#: What is between calls does not depend on the layers.
WITH_STATISTICS = task(Network((9,), (Dense(6), BatchNorm(), Dense(CLASSES))), optimizer=MOMENTUM)
#: Compilers take seconds to minutes for a case. These have every layer, objective, optimizer and rule.
QUICK = {
    "torch:compile": (),
    "jax:jit": (
        "classification squashed",
        "rmsprop",
        "adversarial adam",
        "transformer",
        "sequences",
        "transposed",
        "activations",
        "adam without a mean",
        *LOSSES,
    ),
}
SLOW = {"torch:compile": ("together",), "jax:jit": ("together",)}


def _has_pictures(case):
    return any(len(network.input_shape) == 3 for network in CASES[case].networks.values())


def _compiled(configuration, case):
    if case in QUICK[configuration]:
        return configuration, case
    mark = pytest.mark.slow if case in SLOW[configuration] else pytest.mark.long
    return pytest.param(configuration, case, marks=mark)


TRAININGS = [
    *(("torch:eager", case) for case in CASES),
    *(("torch:channels_last", case) for case in CASES if _has_pictures(case)),
    *(
        _compiled("torch:compile", case)
        for case in ("together", "classification adam", "residual", "transformer", *LOSSES)
    ),
    *(_compiled("jax:jit", case) for case in CASES),
]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _program(configuration, task, precision="float64", seed=3, data=None):
    backend, _, mode = configuration.partition(":")
    try:
        return program(BACKENDS[backend], task, mode, precision, seed, data)
    except Unsupported as error:
        pytest.skip(str(error))


# --- The same maths ------------------------------------------------------------------------------


@pytest.mark.parametrize(("configuration", "case"), TRAININGS)
def test_training_is_that_of_the_reference(configuration, case):
    actual, wanted = results(_program(configuration, CASES[case]), CASES[case]), expected(CASES[case])
    assert list(actual["weights"]) == list(CASES[case].weights())
    assert_same_training(actual, wanted, 1e-12)


@pytest.mark.parametrize("case", ["transformer", "residual", "u-net", "sequence"])
def test_a_short_batch_and_a_batch_of_one(case):
    trainings = _program("torch:eager", CASES[case]), program(NumpyBackend(), CASES[case])
    assert_near(*(trained(training, CASES[case], ((1, 8), (1, 3), (1, 1))) for training in trainings), 1e-12)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_first_of_equal_maxima_gets_the_gradient(configuration):
    # Small whole numbers and a ReLU that is often off: nearly every window holds a tie.
    network = Network(
        (9, 8, 2), (Conv2D(3, 2, "relu"), MaxPool2D(2), MaxPool2D(3), Flatten(), Dense(CLASSES))
    )
    random = np.random.default_rng(2)
    inputs = random.integers(-1, 2, (SAMPLES, 9, 8, 2)).astype(float)
    data = Samples(inputs, random.integers(0, CLASSES, SAMPLES))
    whole = {
        name: np.round(2 * random.standard_normal(w.shape)) for name, w in task(network).weights().items()
    }
    trainings = (
        _program(configuration, task(network), data=data),
        program(NumpyBackend(), task(network), data=data),
    )
    for training in trainings:
        training.load(whole)
        training.train(Steps(np.arange(8)[None]))
    actual, wanted = (training.weights() for training in trainings)
    for name, array in wanted.items():
        assert_near(actual[name], array, 1e-12, name)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_nan_passes_the_pool_wherever_it_stands(configuration):
    inputs = np.zeros((4, 4))
    np.fill_diagonal(inputs, np.nan)
    pooled = task(Network((2, 2, 1), (MaxPool2D(2), Flatten(), Dense(CLASSES))))
    assert np.isnan(_program(configuration, pooled).predict(inputs.reshape(4, 2, 2, 1))).all()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_any_number_of_inputs_can_be_predicted(configuration):
    case = CASES["classification squashed"]
    built, reference = _program(configuration, case), program(NumpyBackend(), case)
    for count in (1, 4, 32, 33, 64, 65, 129, 499, 500, 501, 1001):
        inputs = samples(case, count=count).inputs
        assert_near(built.predict(inputs), reference.predict(inputs), 1e-12, count)


@pytest.mark.parametrize("configuration", EACH_BACKEND)
def test_a_sequence_shorter_than_the_context(configuration):
    built, inputs = _program(configuration, CASES["transformer"]), samples(CASES["transformer"]).inputs
    # A causal network's outputs do not depend on what follows.
    assert_near(built.predict(inputs[:1, :4]), built.predict(inputs)[:1, :4], 1e-12)


@pytest.mark.parametrize(
    ("configuration", "case"),
    [
        *itertools.product(
            CONFIGURATIONS[:2], ("classification sgd", "residual", "sequences", "transformer")
        ),
        ("jax:jit", "classification squashed"),
        *(pytest.param("jax:jit", case, marks=pytest.mark.long) for case in ("together", "transformer")),
    ],
)
def test_lower_precisions_stay_near(configuration, case):
    case = CASES[case]
    exact, losses = trained(program(NumpyBackend(), case), case), {}
    for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.05)):
        built = _program(configuration, case, precision)
        losses[precision] = trained(built, case)
        np.testing.assert_allclose(losses[precision], exact, rtol=tolerance)
        predictions = built.predict(samples(case, precision).inputs)
        arrays = [losses[precision], predictions, *built.weights().values()]
        assert {array.dtype for array in arrays} == {np.dtype("f4")}
    assert np.abs(losses["bfloat16"] / losses["float32"] - 1).max() > 1e-4


# --- What is between calls ------------------------------------------------------------------------

DROPPING = task(Network((9,), (Dense(16, "relu"), Dropout(RATE), Dense(CLASSES))), optimizer=MOMENTUM)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_how_steps_are_cut_into_blocks_does_not_matter(configuration):
    indices = np.random.default_rng(1).integers(0, SAMPLES, (12, 8))  # more than one call of JAX's loop
    whole = _program(configuration, DROPPING)
    losses = whole.train(Steps(indices))
    cut = _program(configuration, DROPPING)
    parts = [cut.train(Steps(part)) for part in np.split(indices, [1, 4])]
    assert np.array_equal(losses, np.concatenate(parts))
    for name, array in whole.weights().items():
        assert np.array_equal(array, cut.weights()[name])


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("case", [DROPPING, WITH_STATISTICS], ids=["dropout", "running statistics"])
def test_scoring_reading_and_loading_between_blocks_change_nothing(configuration, case):
    blocks = (1, 8), (4, 8), (2, 8)
    undisturbed = trained(_program(configuration, case), case, blocks)
    built, losses = _program(configuration, case), []
    for block in blocks:
        losses.append(trained(built, case, (block,)))
        read = built.weights()
        built.predict(samples(case).inputs)
        assert all(np.array_equal(array, read[name]) for name, array in built.weights().items())
        built.load(read)
    assert np.array_equal(np.concatenate(losses), undisturbed)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_weights_read_and_loaded_are_copies_and_the_data_stays(configuration):
    case = task(CONVOLUTIONS)
    data, loaded = samples(case), weights(case)
    built = _program(configuration, case, data=data)
    built.load(loaded)
    read, before = built.weights(), built.predict(data.inputs)
    trained(built, case, ((4, 8),))
    for name, array in weights(case).items():
        assert read[name].tobytes() == loaded[name].tobytes() == array.tobytes(), name
        assert not np.array_equal(built.weights()[name], array), name
    assert np.array_equal(data.inputs, samples(case).inputs)
    assert np.array_equal(data.targets, samples(case).targets)
    assert not np.allclose(built.predict(data.inputs), before)
    built.load(read)
    assert np.array_equal(built.predict(data.inputs), before)


BRANCHING = Network((9,), (Residual((Dropout(0.5),)), Dense(CLASSES)))
ATTENDING = Network((6, 4), (SelfAttention(2, dropout=0.5), GlobalAveragePool(), Dense(CLASSES)))
RECURRENT = Network(
    (6, 4), (Residual((GRU(4, return_sequences=True), Dropout(0.5))), Flatten(), Dense(CLASSES))
)


@pytest.mark.parametrize(
    ("configuration", "case"),
    [
        *(("torch:eager", task(network)) for network in (BRANCHING, ATTENDING, RECURRENT)),
        ("jax:jit", task(ATTENDING)),
        *((configuration, WITH_STATISTICS) for configuration in EACH_BACKEND),
    ],
)
def test_a_program_continues_from_weights_and_a_training_state(configuration, case):
    built = _program(configuration, case)
    trained(built, case, ((3, 8),))
    held, state = built.weights(), built.training_state()
    assert not set(state) & set(held)
    following = trained(built, case, ((2, 8),))
    other = _program(configuration, case)
    other.load(held)
    other.load_training_state(state)
    assert np.array_equal(trained(other, case, ((2, 8),)), following)
    other.load(held)
    assert not np.array_equal(trained(other, case, ((2, 8),)), following)


# --- Dropout -------------------------------------------------------------------------------------

WIDTH = 4000


def _mask(configuration, *layers, seed=0, steps=1):
    """Scales that dropout gave ones in the last of these steps: the kernel's change over the bias's."""
    case = task(Network((WIDTH,), (*layers, Dense(CLASSES))), optimizer=Sgd(1.0))
    built = _program(configuration, case, seed=seed, data=Samples(np.ones((1, WIDTH)), np.zeros(1, np.int64)))
    for _ in range(steps):
        built.load({name: np.zeros(w.shape) for name, w in case.weights().items()})
        built.train(Steps(np.zeros((1, 1), np.int64)))
    kernel, bias = built.weights().values()
    return kernel[:, 0] / bias[0]


@pytest.mark.parametrize("configuration", EACH_BACKEND)
def test_dropout_zeroes_a_fraction_scales_the_rest_and_follows_from_the_seed(configuration):
    masks = [
        _mask(configuration, Dropout(RATE), seed=seed, steps=steps) for seed in (0, 1) for steps in (1, 2)
    ]
    assert np.array_equal(masks[1], _mask(configuration, Dropout(RATE), steps=2))
    assert len({mask.tobytes() for mask in masks}) == 4
    for mask in masks:
        np.testing.assert_allclose(mask[mask != 0], 1 / (1 - RATE))
        assert abs((mask == 0).mean() - RATE) < 0.03  # over 4 standard deviations


# A name in each branch is dropout_1; were their masks equal, half of the sums would be zero.
HALF = Dropout(0.5)
SEVERAL = [
    ((HALF, HALF), 0.25),
    ((Residual((HALF,), (HALF,)),), 0.75),
    ((Residual((HALF, HALF), (HALF,)),), 0.625),
]


@pytest.mark.parametrize("configuration", EACH_BACKEND)
@pytest.mark.parametrize(("layers", "kept"), SEVERAL, ids=["in a row", "in branches", "in both"])
def test_each_dropout_layer_has_its_own_mask(configuration, layers, kept):
    assert abs((_mask(configuration, *layers) != 0).mean() - kept) < 0.05


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_dropout_is_off_in_prediction_even_after_training(configuration):
    case = task(Network((4, 3, 2), (Dropout(RATE), Flatten(), Dropout(RATE), Dense(CLASSES))))
    built, inputs = _program(configuration, case), samples(case).inputs
    trained(built, case, ((1, 8),))
    kernel, bias = built.weights().values()
    assert_near(built.predict(inputs), inputs.reshape(SAMPLES, -1) @ kernel + bias, 1e-12)


@pytest.mark.parametrize("configuration", EACH_BACKEND)
def test_attention_drops_weights_in_training_only(configuration):
    plain = msgspec.structs.replace(ATTENDING, layers=(SelfAttention(2), *ATTENDING.layers[1:]))
    programs = [_program(configuration, task(network)) for network in (ATTENDING, plain)]
    assert np.array_equal(*(built.predict(samples(task(plain)).inputs) for built in programs))
    dropped, whole = (trained(built, task(plain), ((1, 8),))[0] for built in programs)
    assert dropped != whole
    assert dropped == pytest.approx(whole, rel=0.2)


# --- Devices and names ---------------------------------------------------------------------------


@pytest.mark.skipif(
    torch.cuda.is_available() or jax.default_backend() != "cpu", reason="this machine has a GPU"
)
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_gpu_is_refused_with_the_reason(backend, device):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    case = task(ADVERSARIES, Adversarial(LATENTS))
    plan = Plan(task=case, mode=BACKENDS[backend].modes[0], device=device, threads=1, seed=0)
    with pytest.raises(Unsupported, match=rf"sees no {device} device; use --device cpu"):
        BACKENDS[backend].build(plan, samples(case, "float32"))


def test_a_plugin_answers_to_its_name_only():
    assert BACKENDS["torch"].modes == ("eager", "compile", "channels_last")
    assert BACKENDS["jax"].modes == ("jit",)
    assert torch_plugin("keras-torch") is jax_plugin("keras-jax") is None
