"""The torch backend's trees, state, tokens and schedules, compared with the reference in NumPy."""

from typing import get_args

import numpy as np
import pytest

from harness.layers import (
    GRU,
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    LayerNorm,
    PositionEmbedding,
    Reshape,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.layers.activations import ActivationName
from harness.network import Network
from harness.reference.training import NumpyTraining
from harness.spec.backend import Plan, Steps
from harness.spec.data import Samples
from harness.spec.task import Adam, BinaryClassification, Classification, RmsProp, Sgd, Task
from harness_torch import harness_backend

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")

BACKEND = harness_backend("torch")
CLASSES = 5
VOCABULARY = 11
SAMPLES = 12
# All axes differ in length: confused ones would show.
TRANSFORMER = Network(
    (7,),
    (
        Embedding(VOCABULARY, 6),
        PositionEmbedding(9),
        Residual((LayerNorm(), SelfAttention(3, causal=True))),
        Residual((LayerNorm(), Dense(8, "gelu"), Dense(6))),
        LayerNorm(1e-3),
        Unembedding(VOCABULARY),
    ),
)
NETWORKS = {
    "residual": Network(
        (6, 5, 3),
        (
            Conv2D(4, 3, padding=1, bias=False),
            BatchNorm(),
            Activation("leaky_relu"),
            Residual(
                (Conv2D(6, 3, padding=1, strides=2), BatchNorm(1e-3, 0.3), Activation("relu"), Conv2D(6, 1)),
                (Conv2D(6, 1, strides=2), BatchNorm()),
            ),
            GlobalAveragePool(),
            Dense(CLASSES, bias=False),
        ),
    ),
    "u-net": Network(
        (4, 6, 2),
        (
            Skip((AveragePool2D(2), Skip((Conv2D(3, 2, "silu", padding="same"),)), UpSample2D(2))),
            LayerNorm(),
            Dense(4, "gelu_tanh"),
            Flatten(),
            Activation("tanh"),
            Dense(CLASSES),
        ),
    ),
    # Flatten and Reshape beside dense layers, within branches and at their ends.
    "order of features": Network(
        (4, 3, 2),
        (
            Residual(
                (Flatten(), Dense(24, "tanh"), Activation("sigmoid"), Reshape((4, 3, 2))),
                (Conv2D(2, 3, padding=1),),
            ),
            Residual((Flatten(),), (Flatten(), Activation("tanh"), Dense(24))),
            Dense(CLASSES),
        ),
    ),
    # What the first layer of a branch may not overwrite: the shortcut sees it too.
    "activation first": Network(
        (9,), (Dense(6, "tanh"), Residual((Activation("relu"), Dense(6))), Activation("relu"), Dense(CLASSES))
    ),
    "sequence": Network(
        (9, 4),
        (
            Conv1D(6, 4, "gelu", strides=2, padding="same"),
            BatchNorm(),
            Residual((Conv1D(6, 3, padding=1, bias=False), Activation("relu"))),
            Skip((Dense(3),)),
            SelfAttention(3),
            GlobalAveragePool(),
            Dense(CLASSES),
        ),
    ),
    "vectors": Network((9,), (Dense(6), BatchNorm(), Activation("silu"), LayerNorm(), Dense(CLASSES))),
    "segmentation": Network((4, 3, 2), (Conv2D(3, 3, "tanh", padding=1), Dense(CLASSES))),
    "transformer": TRANSFORMER,
}
MODES = ["eager", "channels_last"]


def _task(network, optimizer=None, objective=None, **fields):
    return Task(
        name="small",
        version=1,
        networks={"model": network},
        objective=objective or Classification(),
        optimizer=optimizer or Sgd(1.0),
        batch_size=8,
        epochs=1,
        **fields,
    )


def _samples(network, precision="float64", classes=None):
    random = np.random.default_rng(7)
    *positions, outputs = network.output_shape()
    targets = random.integers(0, classes or outputs, (SAMPLES, *positions))
    if vocabulary := network.vocabulary():
        return Samples(random.integers(0, vocabulary, (SAMPLES, *network.input_shape)), targets)
    inputs = random.standard_normal((SAMPLES, *network.input_shape))
    return Samples(inputs.astype("f8" if precision == "float64" else "f4"), targets)


def _weights(task):
    random = np.random.default_rng(8)
    weights = {name: 0.5 * random.standard_normal(p.shape) for name, p in task.weights().items()}
    return {name: abs(w) + 0.5 if name.endswith("variance") else w for name, w in weights.items()}


def _program(task, mode="eager", precision="float64", samples=None):
    plan = Plan(task=task, mode=mode, device="cpu", precision=precision, threads=1, seed=3)
    program = BACKEND.build(plan, samples or _samples(task.networks["model"], precision))
    program.load(_weights(task))
    return program


def _assert_near(actual, expected, name="", tolerance=1e-9):
    assert actual.shape == expected.shape, name
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max(), name


def _reference(task, data):
    return NumpyTraining(task, data.inputs, data.targets, _weights(task))


def _assert_the_contracts_step(task, mode, data):
    """One step of plain descent on 8 samples: its loss, gradients and new state, and outputs afterwards."""
    program, reference = _program(task, mode, samples=data), _reference(task, data)
    steps = Steps(np.arange(8)[None])
    _assert_near(program.train(steps), reference.train(steps))
    trained = program.weights()
    assert list(trained) == list(task.weights())
    for name, array in reference.weights.items():
        _assert_near(trained[name], array, name)
    _assert_near(program.predict(data.inputs), reference.predict(data.inputs))
    assert all(np.array_equal(array, trained[name]) for name, array in program.weights().items())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(mode, network):
    network = NETWORKS[network]
    _assert_the_contracts_step(_task(network), mode, _samples(network))


@pytest.mark.parametrize("function", get_args(ActivationName))
def test_activations(function):
    network = Network((4,), (Dense(6), Activation(function), Dense(CLASSES, function)))
    _assert_the_contracts_step(_task(network), "eager", _samples(network))


@pytest.mark.parametrize("network", ["segmentation", "transformer", "vectors"])
def test_label_smoothing_and_class_weights(network):
    network = NETWORKS[network]
    weights = np.linspace(0.5, 2.0, network.output_shape()[-1])
    objective = Classification(tuple(weights), label_smoothing=0.1)
    _assert_the_contracts_step(_task(network, objective=objective), "eager", _samples(network))


@pytest.mark.parametrize("weights", [(), (0.5, 2.0)])
def test_binary_classification(weights):
    network = Network((9,), (Dense(6, "relu"), Dense(1)))
    data = _samples(network, classes=2)
    task = _task(network, objective=BinaryClassification(weights))
    _assert_the_contracts_step(task, "eager", Samples(data.inputs, data.targets.reshape(-1)))


# --- The update ----------------------------------------------------------------------------------

RATES = np.array([0.01, 0.03, 0.02, 0.005])
ROWS = np.random.default_rng(4).integers(0, SAMPLES, (4, 8))


@pytest.mark.parametrize(("clip_norm", "decay_embeddings"), [(0.05, True), (1e6, False)])
@pytest.mark.parametrize(
    "optimizer", [Sgd(0.03, 0.9), Sgd(0.03, 0.9, nesterov=True), Adam(0.03, 0.8, 0.95, 1e-3), RmsProp(0.03)]
)
def test_the_rate_of_each_step_clipping_and_decay(optimizer, clip_norm, decay_embeddings):
    task = _task(
        TRANSFORMER, optimizer, clip_norm=clip_norm, weight_decay=0.5, decay_embeddings=decay_embeddings
    )
    program, reference = _program(task), _reference(task, _samples(TRANSFORMER))
    for training in (program, reference):
        training.train(Steps(ROWS, learning_rates=RATES))
    for name, array in program.weights().items():
        _assert_near(array, reference.weights[name], name)


@pytest.mark.slow  # compiled
def test_one_rate_after_another_compiles_nothing_again():
    from torch._dynamo.utils import counters

    program = _program(_task(Network((4,), (Dense(3, "gelu"), Dense(CLASSES))), Adam(0.1)), "compile")
    program.train(Steps(ROWS[:1], learning_rates=np.array([0.1])))
    compiled = counters["stats"]["unique_graphs"]
    program.train(Steps(ROWS, learning_rates=RATES))
    assert counters["stats"]["unique_graphs"] == compiled > 0


# --- Batches, precisions, randomness -------------------------------------------------------------


@pytest.mark.parametrize("network", ["transformer", "residual", "u-net", "sequence"])
def test_a_short_batch_and_a_batch_of_one(network):
    network = NETWORKS[network]
    task = _task(network, Sgd(0.1))
    program, reference = _program(task), _reference(task, _samples(network))
    for rows in (np.arange(8), np.arange(3), np.array([2])):
        _assert_near(program.train(Steps(rows[None])), reference.train(Steps(rows[None])))


def test_a_sequence_shorter_than_the_context():
    program = _program(_task(TRANSFORMER))
    inputs = _samples(TRANSFORMER).inputs
    # A causal network's outputs do not depend on what follows.
    _assert_near(program.predict(inputs[:1, :4]), program.predict(inputs)[:1, :4])


@pytest.mark.parametrize("network", ["residual", "u-net", "sequence", "transformer"])
def test_lower_precisions_stay_near(network):
    task = _task(NETWORKS[network], Sgd(0.01))
    exact = _program(task).train(Steps(ROWS))
    for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.1)):
        for mode in MODES:
            program = _program(task, mode, precision)
            losses = program.train(Steps(ROWS))
            assert losses.dtype == np.float32
            np.testing.assert_allclose(losses, exact, rtol=tolerance)
            predicted = program.predict(_samples(NETWORKS[network], precision).inputs)
            assert predicted.dtype == np.float32
            assert {array.dtype for array in program.weights().values()} == {np.dtype("f4")}


@pytest.mark.parametrize(
    "network",
    [
        Network((4,), (Residual((Dropout(0.5),)), Dense(CLASSES))),
        Network((6, 4), (SelfAttention(2, dropout=0.5), GlobalAveragePool(), Dense(CLASSES))),
        Network((6, 4), (Residual((GRU(4, return_sequences=True), Dropout(0.5))), Flatten(), Dense(CLASSES))),
    ],
)
def test_dropout_in_branches_and_attention_continues_where_it_was(network):
    task = _task(network, Sgd(0.1))
    program = _program(task)
    program.train(Steps(ROWS))
    inputs = _samples(network).inputs
    assert np.array_equal(program.predict(inputs), program.predict(inputs))
    weights, state = program.weights(), program.training_state()
    expected = program.train(Steps(ROWS))
    other = _program(task)
    other.load(weights)
    other.load_training_state(state)
    assert np.array_equal(other.train(Steps(ROWS)), expected)
    other.load(weights)
    assert not np.array_equal(other.train(Steps(ROWS)), expected)


@pytest.mark.slow  # each network is compiled
@pytest.mark.parametrize("network", ["residual", "u-net", "transformer"])
def test_compiled_networks(network):
    network = NETWORKS[network]
    _assert_the_contracts_step(_task(network), "compile", _samples(network))
