"""Small tasks with all layers, objectives and rules of the contract, and their training by any backend.

Every program is compared with the reference in NumPy on them. Between them they have every layer, every
activation, every optimizer for one network and for adversaries, and every rule: penalties, decay,
augmentation, class weights, trees, state, tokens, targets for each position, learning rates by step, and
clipping.
"""

import functools

import numpy as np

from harness.core.reference.training import NumpyBackend
from harness.core.training.initial import initial_weights
from harness.layers import (
    GRU,
    LSTM,
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool,
    GroupNorm,
    LayerNorm,
    MaxPool2D,
    PositionEmbedding,
    Reshape,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.network import Network
from harness.spec.backend import Plan, Steps
from harness.spec.data import Samples
from harness.spec.schedules import ConstantRate, CosineDecay, LinearDecay, StepDecay
from harness.spec.task import (
    Adam,
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Penalty,
    Regression,
    RmsProp,
    Sgd,
    Task,
)

CLASSES, VOCABULARY, SAMPLES, LATENTS = 5, 11, 40, 6
#: Blocks of consecutive steps, followed by a short batch for the plain optimizer only: compilers compile the
#: step again for each shape, which takes most of the time of a test.
BLOCKS = ((1, 8), (4, 8), (2, 8))
SHORT_BLOCK = (1, 3)

# Height, width and channels all differ; paddings are uneven, and the pool drops a row.
CONVOLUTIONS = Network(
    (11, 8, 3),
    (
        Conv2D(4, 3, "leaky_relu", strides=2, padding="same"),
        Conv2D(4, 2, "relu", padding="same"),
        MaxPool2D(2),
        Conv2D(6, 2, "tanh"),
        Flatten(),
        Dense(12, "sigmoid"),
        Reshape((3, 2, 2)),
        ConvTranspose2D(3, 4, 2, "leaky_relu"),
        ConvTranspose2D(2, 3, 1),
        Flatten(),
        Dense(8, "leaky_relu"),
        Dense(CLASSES),
    ),
)
# Together: GRU and LSTM in one direction and two, returning sequences and last outputs.
FIRST_SEQUENCES = Network(
    (7, 3),
    (
        GRU(4, bidirectional=True, return_sequences=True),
        LSTM(3, return_sequences=True),
        GRU(3),
        Dense(2),
    ),
)
SECOND_SEQUENCES = Network(
    (7, 3),
    (
        LSTM(4, bidirectional=True, return_sequences=True),
        GRU(3, return_sequences=True),
        LSTM(3, return_sequences=True),
        Flatten(),
        Dense(2),
    ),
)
LAST_OUTPUTS = Network(
    (7, 3), (LSTM(3, bidirectional=True), Reshape((3, 2)), GRU(3, bidirectional=True), Dense(2, "tanh"))
)
GENERATOR = Network(
    (LATENTS,),
    (
        Dense(30, "leaky_relu"),
        Reshape((3, 2, 5)),
        ConvTranspose2D(4, 4, 2, "relu"),
        ConvTranspose2D(3, 2, 2, "sigmoid"),
    ),
)
DISCRIMINATOR = Network(
    (12, 8, 3),
    (
        Conv2D(4, 4, "leaky_relu", strides=2, padding="same"),
        Conv2D(5, 3, "leaky_relu", strides=2, padding="same"),
        Flatten(),
        Dense(1),
    ),
)
# The first convolution pads as "same" would not, the others as it would.
RESIDUAL = Network(
    (12, 8, 3),
    (
        Conv2D(4, 3, strides=2, padding=1, bias=False, initializer="he_normal"),
        BatchNorm(),
        Activation("relu"),
        Residual(
            (
                Conv2D(6, 3, padding=1, bias=False),
                BatchNorm(epsilon=0.01, update_rate=0.3),
                Activation("silu"),
                Conv2D(6, 3, "gelu_tanh", padding=1),
                BatchNorm(),
            ),
            (Conv2D(6, 1, padding=0, bias=False), BatchNorm()),
        ),
        Skip((AveragePool2D(2), Conv2D(3, 3, "gelu", padding="same"), UpSample2D(2))),
        LayerNorm(),
        GroupNorm(3, epsilon=0.1),
        Dense(7, "gelu"),
        GlobalAveragePool(),
        Dense(CLASSES),
    ),
)
TRANSFORMER = Network(
    (6,),
    (
        Embedding(VOCABULARY, 8, 0.5),
        PositionEmbedding(9, 0.5),
        Residual((LayerNorm(), SelfAttention(2, causal=True))),
        Residual((LayerNorm(), Dense(16, "gelu"), Dense(8, bias=False))),
        LayerNorm(epsilon=0.01),
        Unembedding(VOCABULARY),
    ),
)
SEQUENCES = Network(
    (9, 3),
    (
        Conv1D(4, 3, "gelu_tanh", strides=2, padding="same"),
        BatchNorm(),
        Conv1D(6, 4, "silu", strides=2, padding=2, bias=False),
        Residual((SelfAttention(3), LayerNorm())),
        GroupNorm(2),
        GlobalAveragePool(),
        Dense(4, "tanh"),
        BatchNorm(),
        Dense(1),
    ),
)
# The same token often occurs twice in a batch, and nothing adds a dense gradient of its table.
TOKENS = Network((6,), (Embedding(VOCABULARY, 4, 0.5), LSTM(3, return_sequences=True), Dense(CLASSES)))
# Losses take logits, whatever computes them.
SQUASHED = Network(CONVOLUTIONS.input_shape, (Flatten(), Dense(8, "relu"), Dense(CLASSES, "sigmoid")))
JUDGE = Network(DISCRIMINATOR.input_shape, (Flatten(), Dense(1, "sigmoid")))
ADVERSARIES = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}

CLASSIFICATION, WEIGHTED = Classification(), Classification((0.5, 2.0, 1.0, 1.5, 0.25))
SGD = Sgd(0.1)
MOMENTUM = Sgd(0.1, momentum=0.9)
NESTEROV = Sgd(0.1, momentum=0.9, nesterov=True)
# Epsilons large enough to show their positions.
ADAM = Adam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3)
RMSPROP = RmsProp(0.01, rho=0.8, epsilon=1e-3)
L1, L2, BOTH = Penalty(l1=0.01), Penalty(l2=0.02), Penalty(l1=0.01, l2=0.02)


def task(networks, objective=CLASSIFICATION, optimizer=SGD, **rules) -> Task:
    """A task of a network, or of the adversaries by name."""
    return Task(
        name="small",
        version=1,
        networks=networks if isinstance(networks, dict) else {"model": networks},
        objective=objective,
        optimizer=optimizer,
        batch_size=8,
        epochs=1,
        **rules,
    )


_classification = functools.partial(task, CONVOLUTIONS)
_adversarial = functools.partial(task, ADVERSARIES, Adversarial(LATENTS))
TASKS = {
    "classification sgd": _classification(penalty=L2),
    "classification momentum": _classification(optimizer=MOMENTUM, weight_decay=0.3),
    "classification nesterov": _classification(
        WEIGHTED, NESTEROV, penalty=L1, augmentation=Augmentation(crop=2)
    ),
    "classification adam": _classification(
        WEIGHTED, ADAM, penalty=BOTH, weight_decay=0.7, augmentation=Augmentation(flip=True, crop=1)
    ),
    "classification rmsprop": _classification(optimizer=RMSPROP, augmentation=Augmentation(flip=True)),
    "regression sgd": task(FIRST_SEQUENCES, Regression(), SGD, weight_decay=0.3),
    "regression adam": task(SECOND_SEQUENCES, Regression(), ADAM, weight_decay=0.7),
    "regression rmsprop": task(LAST_OUTPUTS, Regression(), RMSPROP, penalty=BOTH, weight_decay=0.7),
    "adversarial sgd": _adversarial(SGD, penalty=L2),
    "adversarial momentum": _adversarial(MOMENTUM),
    "adversarial nesterov": _adversarial(NESTEROV, weight_decay=0.3),
    "adversarial adam": _adversarial(ADAM, penalty=BOTH, augmentation=Augmentation(flip=True, crop=2)),
    "adversarial rmsprop": _adversarial(RMSPROP, weight_decay=0.7),
    "classification squashed": task(SQUASHED),
    "adversarial squashed": task(ADVERSARIES | {"discriminator": JUDGE}, Adversarial(LATENTS)),
    "residual": task(
        RESIDUAL,
        Classification(label_smoothing=0.1),
        Sgd(0.1, momentum=0.9),
        schedule=StepDecay((0.5,)),
        penalty=Penalty(l2=0.02),
        weight_decay=0.3,
        augmentation=Augmentation(flip=True, crop=2),
    ),
    "transformer": task(
        TRANSFORMER,
        Classification(),
        Adam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
        schedule=CosineDecay(),
        clip_norm=0.2,
        weight_decay=0.7,
        decay_embeddings=True,
    ),
    "sequences": task(
        SEQUENCES,
        BinaryClassification((0.5, 2.0)),
        RmsProp(0.01, rho=0.8, epsilon=1e-3),
        schedule=LinearDecay(0.5),
        clip_norm=0.1,
        weight_decay=0.7,
    ),
    "tokens": task(
        TOKENS,
        Classification((0.5, 2.0, 1.0, 1.5, 0.25), label_smoothing=0.2),
        Adam(0.01, epsilon=1e-3),
        clip_norm=0.1,
        weight_decay=0.7,
    ),
    "nesterov": task(
        TOKENS, Classification(), Sgd(0.1, momentum=0.9, nesterov=True), schedule=CosineDecay(), clip_norm=0.2
    ),
    "mse_softmax": task(
        Network((5, 3), (Dense(6, "tanh"), Dense(CLASSES))),  # a class for each position
        Classification((0.5, 2.0, 1.0, 1.5, 0.25), loss="mse_softmax"),
    ),
    "mse_logits": task(SQUASHED, Classification(loss="mse_logits")),
    "mse_sigmoid": task(
        Network((9,), (Dense(6, "tanh"), Dense(1))), BinaryClassification((0.5, 2.0), "mse_sigmoid")
    ),
    "mae": task(Network((9,), (Dense(6, "tanh"), Dense(2))), Regression("mae")),
    "huber": task(Network((9,), (Dense(6, "tanh"), Dense(2))), Regression("huber")),
}


def samples(task: Task, precision: str = "float64", count: int = SAMPLES) -> Samples:
    """Random inputs ``(count, *input)`` or tokens, and targets that fit the objective."""
    random = np.random.default_rng(7)
    dtype = "f8" if precision == "float64" else "f4"
    network = next(reversed(task.networks.values()))
    shape, (*positions, outputs) = network.input_shape, network.output_shape()
    if vocabulary := network.vocabulary():
        targets = random.integers(0, outputs, (count, *positions))
        return Samples(random.integers(0, vocabulary, (count, *shape)), targets)
    inputs = random.uniform(-1, 1, (count, *shape)).astype(dtype)
    # An empty margin puts units at exactly zero, where slopes and ties are a matter of convention.
    inputs[:, : shape[0] // 3] = 0
    if isinstance(task.objective, Regression):
        return Samples(inputs, random.standard_normal((count, outputs)).astype(dtype))
    classes = outputs if isinstance(task.objective, Classification) else 2
    return Samples(inputs, random.integers(0, classes, (count, *positions)))


def steps(task: Task, block: tuple[int, int], dtype="f8") -> Steps:
    """A block of steps ``(steps, batch)`` on random samples, with what the task draws for each of them."""
    random = np.random.default_rng(block)
    augmentation = task.augmentation
    adversarial, constant = isinstance(task.objective, Adversarial), task.schedule == ConstantRate()
    return Steps(
        random.integers(0, SAMPLES, block),
        latents=random.standard_normal((*block, LATENTS)).astype(dtype) if adversarial else None,
        flips=random.random(block) < 0.5 if augmentation.flip else None,
        offsets=random.integers(0, 2 * augmentation.crop + 1, (*block, 2)) if augmentation.crop else None,
        learning_rates=None if constant else task.optimizer.learning_rate * random.uniform(0.1, 1, block[0]),
    )


def weights(task: Task) -> dict[str, np.ndarray]:
    """Initial weights plus noise: biases and running statistics that are neither 0 nor 1."""
    random = np.random.default_rng(8)
    return {name: w + 0.3 * random.random(w.shape) - 0.15 for name, w in initial_weights(task, 5).items()}


def program(backend, task: Task, mode=None, precision="float64", seed=3, data=None):
    """A program of the task on the CPU with these weights loaded."""
    mode = mode or backend.modes[0]
    plan = Plan(task=task, mode=mode, device="cpu", precision=precision, threads=1, seed=seed)
    built = backend.build(plan, data or samples(task, precision))
    built.load(weights(task))
    return built


def question(of):
    """Inputs in float64, or tokens, and an output of each."""
    inputs = samples(of).inputs
    return inputs, np.arange(len(inputs)) % int(np.prod(of.networks["model"].output_shape()))


def trained(built, task: Task, blocks=None, dtype="f8") -> np.ndarray:
    """Train a program on blocks of steps; returns the losses."""
    blocks = blocks or ((*BLOCKS, SHORT_BLOCK) if task.optimizer == SGD else BLOCKS)
    losses = np.concatenate([built.train(steps(task, block, dtype)) for block in blocks])
    built.synchronize()
    return losses


def results(built, task: Task, precision="float64") -> dict:
    """Train a program: its losses, weights before and after, and predictions of each network."""
    dtype = "f8" if precision == "float64" else "f4"
    loaded = built.weights()
    kept = {name: array.copy() for name, array in loaded.items()}
    losses = trained(built, task, dtype=dtype)
    assert all(np.array_equal(loaded[name], kept[name]) for name in kept), "weights() returned no copies"
    assert (built.device, built.device_peak_memory_bytes()) == ("cpu", None)
    inputs = dict.fromkeys(task.networks, samples(task, precision).inputs)
    inputs |= {"generator": np.random.default_rng(1).standard_normal((9, LATENTS)).astype(dtype)}
    return {
        "losses": losses,
        "loaded": loaded,
        "weights": built.weights(),
        "predictions": {name: built.predict(inputs[name], name) for name in task.networks},
    }


def expected(task: Task) -> dict:
    """What the reference in NumPy gives."""
    return results(program(NumpyBackend(), task), task)


def assert_near(actual: np.ndarray, wanted: np.ndarray, tolerance: float, where: object = "") -> None:
    """That float64 arrays differ by at most this part of the largest expected value."""
    assert actual.dtype == wanted.dtype == np.float64, where
    assert actual.shape == wanted.shape, where
    assert np.abs(actual - wanted).max() <= tolerance * np.abs(wanted).max(), where


def assert_same_training(actual: dict, wanted: dict, tolerance: float, where: object = "") -> None:
    """That two results of :func:`results` agree, in every array and in the order of their names."""
    assert_near(actual["losses"], wanted["losses"], tolerance, (where, "losses"))
    for group in ("loaded", "weights", "predictions"):
        assert list(actual[group]) == list(wanted[group])
        for name, array in wanted[group].items():
            assert_near(actual[group][name], array, tolerance, (where, group, name))


#: A transformer and a residual CNN, small enough to be certified in a second.
TEXT = Network(
    (6,),
    (
        Embedding(11, 8, 0.5),
        PositionEmbedding(7, 0.5),
        Residual((LayerNorm(), SelfAttention(2, causal=True))),
        Residual((LayerNorm(), Dense(16, activation="gelu"), Dense(8))),
        LayerNorm(),
        Unembedding(11),
    ),
)
PICTURES = Network(
    (6, 6, 2),
    (
        Conv2D(4, 3, padding=1, bias=False),
        BatchNorm(),
        Activation("relu"),
        Residual((Conv2D(4, 3, padding=1, bias=False), BatchNorm())),
        GlobalAveragePool(),
        Dense(3),
    ),
)
