"""The JAX backend on trees of layers, state, tokens and schedules: compared with torch in float64."""

import msgspec
import numpy as np
import pytest

from harness.certify.cases import case_samples
from harness.layers import (
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePool,
    LayerNorm,
    PositionEmbedding,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.network import Network
from harness.spec.backend import Plan, Steps
from harness.spec.data import Samples
from harness.spec.schedules import CosineDecay
from harness.spec.task import Adam, BinaryClassification, Classification, Penalty, Sgd, Task
from harness.training.initial import initial_weights
from harness_jax import harness_backend as jax_plugin
from harness_torch import harness_backend as torch_plugin

pytestmark = pytest.mark.timeout(900)

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

JAX, TORCH = jax_plugin("jax"), torch_plugin("torch")
SAMPLES, BATCH, SHORT, TOKENS = 24, 8, 3, 11
CLASSES, SGD = Classification(), Sgd(0.1)

PADDED = {"padding": 1, "bias": False}
RESIDUAL = Network(
    (6, 5, 3),
    (
        Conv2D(4, 3, **PADDED),
        BatchNorm(),
        Activation("relu"),
        Residual((Conv2D(4, 3, "silu", padding="same"), BatchNorm(epsilon=1e-3, update_rate=0.3))),
        Residual(
            (Conv2D(6, 3, strides=2, **PADDED), BatchNorm(), Activation("gelu"), Conv2D(6, 3, **PADDED)),
            (Conv2D(6, 1, strides=2, padding=0, bias=False), BatchNorm()),
        ),
        GlobalAveragePool(),
        Dense(5),
    ),
)
NESTED = Network(
    (8, 9, 2),
    (
        AveragePool2D(2),
        Skip((AveragePool2D(2), Skip((Conv2D(3, 3, "gelu_tanh", padding="same"),)), UpSample2D(2))),
        GlobalAveragePool(),
        Dense(5),
    ),
)
TRANSFORMER = Network(
    (7,),
    (
        Embedding(TOKENS, 8, 0.5),
        PositionEmbedding(9, 0.5),
        Dropout(0.0),
        Residual((LayerNorm(), SelfAttention(2, causal=True))),
        Residual((LayerNorm(epsilon=1e-2), Dense(16, "gelu"), Dense(8, bias=False))),
        LayerNorm(),
        Unembedding(TOKENS),
    ),
)
SEQUENCE = Network(
    (9, 3),
    (
        Conv1D(6, 3, "gelu", strides=2, padding=1),
        BatchNorm(),
        Conv1D(6, 2, padding="same", bias=False),
        SelfAttention(3),
        GlobalAveragePool(),
        Dense(1),
    ),
)


@pytest.fixture(autouse=True, scope="module")
def _compiled_quickly():
    """XLA reads its flags once, when a process first uses a device; the result need not be fast."""
    with pytest.MonkeyPatch.context() as patch:
        flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        patch.setenv("XLA_FLAGS", flags)
        jax.devices()
    yield
    jax.config.update("jax_enable_x64", False)


def _task(network, objective=CLASSES, optimizer=SGD, **changes):
    return Task(
        name="small",
        version=1,
        networks={"model": network},
        objective=objective,
        optimizer=optimizer,
        batch_size=BATCH,
        epochs=1,
        **changes,
    )


RULES = {
    "residual": _task(RESIDUAL, Classification(label_smoothing=0.1), Sgd(0.1, momentum=0.9)),
    "nested": _task(NESTED, Classification((0.5, 1.0, 2.0, 1.5, 0.7), 0.2), penalty=Penalty(l2=0.01)),
    "transformer": _task(
        TRANSFORMER,
        optimizer=Adam(0.01, epsilon=1e-3),
        weight_decay=2.0,
        decay_embeddings=True,
        clip_norm=0.5,
        schedule=CosineDecay(0.1, 3),
    ),
    "sequence": _task(SEQUENCE, BinaryClassification((0.7, 1.6)), weight_decay=0.5, clip_norm=100.0),
}


def _program(task, backend=JAX, precision="float64"):
    plan = Plan(task=task, mode=backend.modes[0], device="cpu", precision=precision, threads=1, seed=3)
    data = case_samples(task, SAMPLES)
    if precision != "float64" and data.inputs.dtype == np.float64:
        data = Samples(data.inputs.astype("f4"), data.targets)
    program = backend.build(plan, data)
    # Biases and running statistics that are neither 0 nor 1.
    random = np.random.default_rng(8)
    program.load({n: w + 0.2 * random.random(w.shape) for n, w in initial_weights(task, 4).items()})
    return program


def _steps(count, batch, first=0):
    """Random samples, with a learning rate that differs from step to step."""
    random = np.random.default_rng(first)
    rates = 0.05 / (1.0 + first + np.arange(count))
    return Steps(random.integers(0, SAMPLES, (count, batch)), learning_rates=rates)


def _trained(program):
    losses = [program.train(_steps(*block)) for block in ((1, BATCH), (4, BATCH, 1), (1, SHORT, 5))]
    program.synchronize()
    return np.concatenate(losses)


def _assert_near(actual, expected, name):
    assert actual.dtype == expected.dtype == np.float64, name
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("name", RULES)
def test_losses_weights_state_and_outputs_are_those_of_torch(name):
    task = RULES[name]
    mine, reference = _program(task), _program(task, TORCH)
    _assert_near(_trained(mine), _trained(reference), "losses")
    expected = reference.weights()
    assert list(mine.weights()) == list(task.weights())
    for weight, array in mine.weights().items():
        _assert_near(array, expected[weight], weight)
    inputs = case_samples(task, 5).inputs
    _assert_near(mine.predict(inputs), reference.predict(inputs), "outputs")


def test_prediction_uses_running_statistics_and_changes_nothing():
    task = RULES["residual"]
    program, undisturbed = _program(task), _program(task)
    losses = []
    for _ in range(2):
        losses.append(program.train(_steps(1, BATCH)))
        before = program.weights()
        program.predict(case_samples(task, 5).inputs)
        assert all(np.array_equal(array, before[name]) for name, array in program.weights().items())
    expected = [undisturbed.train(_steps(1, BATCH)) for _ in range(2)]
    assert np.array_equal(losses, expected)


def test_a_program_goes_on_from_weights_with_state_and_a_training_state():
    task = RULES["residual"]
    first, second = _program(task), _program(task)
    first.train(_steps(3, BATCH))
    second.load(first.weights())
    second.load_training_state(first.training_state())
    assert not any("running" in name for name in first.training_state())
    assert np.array_equal(first.train(_steps(2, BATCH, 3)), second.train(_steps(2, BATCH, 3)))


def test_rates_decay_and_rules_of_labels_are_data():
    task = RULES["transformer"]
    other = msgspec.structs.replace(
        task,
        optimizer=msgspec.structs.replace(task.optimizer, learning_rate=0.5),
        objective=Classification(tuple(range(1, TOKENS + 1)), label_smoothing=0.1),
        weight_decay=0.0,
        schedule=CosineDecay(),
    )
    programs = _program(task), _program(other)
    assert programs[0]._train_block is programs[1]._train_block
    compiled = [programs[0]._train_block._cache_size()]
    losses = []
    for program in programs:
        losses.append(program.train(_steps(2, BATCH)))
        program.train(_steps(2, BATCH, 7))
        compiled.append(programs[0]._train_block._cache_size())
    assert compiled[2] == compiled[1] <= compiled[0] + 1
    assert not np.allclose(*losses)
    clipped_later = msgspec.structs.replace(task, clip_norm=2.0)
    assert _program(clipped_later)._train_block is not programs[0]._train_block


# --- Dropout -------------------------------------------------------------------------------------

WIDTH, STEPS = 40, 50


def _kept(layers):
    """Which values of ones ``(WIDTH,)`` two layers of dropout at a rate of 0.5 leave, by the gradient."""
    network = Network((WIDTH * STEPS,), (*layers, Dense(2)))
    task = _task(network, optimizer=Sgd(1.0))
    plan = Plan(task=task, mode="jit", device="cpu", precision="float64", threads=1, seed=1)
    program = JAX.build(plan, Samples(np.ones((1, WIDTH * STEPS)), np.zeros(1, np.int64)))
    program.load({name: np.zeros(p.shape) for name, p in task.weights().items()})
    program.train(Steps(np.zeros((1, 1), np.int64)))
    kernel = next(array for name, array in program.weights().items() if name.endswith("kernel"))
    return kernel[:, 0] != 0


def test_dropout_in_branches_and_in_layers_of_equal_names_is_independent():
    # A name in each branch is dropout_1; were their masks equal, half of the sums would be zero.
    branches = _kept((Residual((Dropout(0.5),), (Dropout(0.5),)),))
    assert abs(branches.mean() - 0.75) < 0.05
    nested = _kept((Residual((Dropout(0.5), Dropout(0.5)), (Dropout(0.5),)),))
    assert abs(nested.mean() - 0.625) < 0.05


def test_attention_drops_weights_in_training_only_and_each_layer_its_own():
    rate = 0.5
    network = Network((STEPS, 2), (SelfAttention(1, dropout=rate), GlobalAveragePool(), Dense(1)))
    task = _task(network, BinaryClassification())
    program = _program(task)
    without = msgspec.structs.replace(network, layers=(SelfAttention(1), *network.layers[1:]))
    plain = _program(_task(without, BinaryClassification()))
    inputs = case_samples(task, 5).inputs
    assert np.array_equal(program.predict(inputs), plain.predict(inputs))
    losses = [program.train(_steps(1, BATCH))[0] for program in (program, plain)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)


@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_bfloat16_stays_near_float32_and_keeps_its_state_in_float32(name):
    task = RULES[name]
    programs = {precision: _program(task, precision=precision) for precision in ("float32", "bfloat16")}
    losses = {precision: program.train(_steps(4, BATCH)) for precision, program in programs.items()}
    assert {array.dtype for array in programs["bfloat16"].weights().values()} == {np.dtype("f4")}
    assert losses["bfloat16"].dtype == np.float32
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.03)
    assert not np.array_equal(losses["bfloat16"], losses["float32"])
