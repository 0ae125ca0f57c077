"""Measure what a framework's default costs or gains, where the ledger's default is a number.

A task is trained in JAX as pinned and with one default in place of the pin, on the same seeds, and scored on
its test data. Writes what ``harness ledger`` prints. Nothing is timed, so other programs may run meanwhile.
Run it by hand when a task, a default or a pin changes.
"""

import contextlib
import datetime
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import msgspec
import numpy as np
from common import parser

import harness_jax.layers
from harness.core.certify.digests import gates_of
from harness.core.certify.ledger import COSTS_FILE, Cost, Costs, measured_costs
from harness.core.plugins import registry
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import mean_interval
from harness.core.training import draws
from harness.core.training.batches import BatchOrder
from harness.core.training.gan_quality import Judge
from harness.core.training.initial import initial_weights
from harness.core.training.scoring import generate, score
from harness.core.training.splits import at_most, split_samples
from harness.layers import AnyLayer, BatchNorm, Dense, LayerNorm, Parameter
from harness.spec.backend import Plan
from harness.spec.task import Adversarial, Task
from harness_jax.program import JaxProgram

Weights = dict[str, np.ndarray]
#: From a task, its initial weights and a seed to the initial weights with another default.
ChangedWeights = Callable[[Task, Weights, int], Weights]


class Default(NamedTuple):
    """One default in place of a pin: in the task, in the initial weights, or in a layer."""

    topic: str
    description: str
    task: str
    options: dict[str, object]
    in_weights: ChangedWeights = lambda _task, weights, _seed: weights
    in_task: Callable[[Task], Task] = lambda task: task
    slope: float | None = None
    epochs: int | None = None


def optimizer(**changes: float) -> Callable[[Task], Task]:
    return lambda task: msgspec.structs.replace(
        task, optimizer=msgspec.structs.replace(task.optimizer, **changes)
    )


def decay(rate: float) -> Callable[[Task], Task]:
    return lambda task: msgspec.structs.replace(task, weight_decay=rate)


def layers(kind: type, **fields: object) -> Callable[[Task], Task]:
    """All layers of a kind with other fields."""

    def exchanged(layer: AnyLayer) -> AnyLayer:
        has = isinstance(layer, kind) and getattr(layer, "activation", "gelu") == "gelu"
        return msgspec.structs.replace(layer, **fields) if has else layer

    return lambda task: task.with_layers(exchanged)


def embeddings(deviation: Callable[[Parameter], float]) -> ChangedWeights:
    """Normal tables of another deviation, from the same draws."""

    def in_weights(task: Task, weights: Weights, _seed: int) -> Weights:
        parameters = task.parameters()
        return weights | {
            name: array / parameters[name].initializer * deviation(parameters[name])
            for name, array in weights.items()
            if name.endswith("/table")
        }

    return in_weights


def torch_kernels(task: Task, weights: Weights, seed: int) -> Weights:
    """Uniform ±1/sqrt(fan_in) in dense layers; biases stay as they are."""

    def kernel(name: str) -> np.ndarray:
        parameter = task.parameters()[name]
        spread = 2 * draws.uniform(parameter.shape, seed, "weights", name) - 1
        return spread / np.sqrt(parameter.fan_in)

    return {name: kernel(name) if name.endswith("/kernel") else array for name, array in weights.items()}


def lecun_kernels(task: Task, weights: Weights, seed: int) -> Weights:
    """:func:`lecun` in all dense layers."""
    return {
        name: lecun(task.parameters()[name], name, seed) if name.endswith("/kernel") else array
        for name, array in weights.items()
    }


def torch_biases(task: Task, weights: Weights, seed: int) -> Weights:
    """Uniform ±1/sqrt(fan_in of the layer's kernel)."""

    def bias(name: str) -> np.ndarray:
        fan_in = task.parameters()[name.replace("/bias", "/kernel")].fan_in
        return (2 * draws.uniform(weights[name].shape, seed, "weights", name) - 1) / np.sqrt(fan_in)

    return {name: bias(name) if name.endswith("/bias") else array for name, array in weights.items()}


def of_recurrent_layers(input_kernel: Callable[[Parameter, str, int], np.ndarray]) -> ChangedWeights:
    """``input_kernel`` for kernels on the input, orthogonal ones (Saxe et al. 2014) for the state.

    Biases are zero. A kernel is drawn for all gates together, as Keras and flax.nnx draw theirs.
    """

    def in_weights(task: Task, weights: Weights, seed: int) -> Weights:
        layers = gates_of(task)
        changed = dict(weights)
        for name in layers:
            parameter = task.parameters()[name]
            if name.endswith("/recurrent_kernel"):
                changed[name] = orthogonal(parameter.shape, seed, name)
            elif name.endswith("/kernel"):
                changed[name] = input_kernel(parameter, name, seed)
            else:
                changed[name] = np.zeros(parameter.shape)
        return changed

    return in_weights


def orthogonal(shape: tuple[int, ...], seed: int, name: str) -> np.ndarray:
    """A matrix of few rows and many columns whose rows are orthonormal."""
    rows, columns = shape
    q, r = np.linalg.qr(draws.normal((columns, rows), seed, "weights", name))
    return (q * np.sign(np.diag(r))).T


def glorot(parameter: Parameter, name: str, seed: int) -> np.ndarray:
    limit = np.sqrt(6 / sum(parameter.shape))
    return limit * (2 * draws.uniform(parameter.shape, seed, "weights", name) - 1)


def lecun(parameter: Parameter, name: str, seed: int) -> np.ndarray:
    """Normal with variance 1/rows, truncated at two standard deviations, as in flax."""
    key = jax.random.fold_in(jax.random.key(seed), sum(name.encode()))
    cut = np.asarray(jax.random.truncated_normal(key, -2, 2, parameter.shape), np.float64)
    return cut / 0.87962566103423978 / np.sqrt(np.prod(parameter.shape[:-1]))


#: Where the first data set of a task would take too long, or need a download.
DATASETS = {"gan": "digits", "resnet": "digits", "lm": "pydoc"}
SCORES = {"gan": "Fréchet distance", "lm": "test loss (nats a character)"}
#: The number of windows by which a language model is scored.
TEXTS = 500
_MLP: dict = {"task": "mlp", "options": {}}
_RMSPROP: dict = {"task": "mlp", "options": {"optimizer": "rmsprop", "learning_rate": 0.001}}
_RNN: dict = {"task": "rnn", "options": {}}
_GAN: dict = {"task": "gan", "options": {}, "epochs": 10}
_RESNET: dict = {
    "task": "resnet",
    "options": {"depth": 8, "width": 0.5, "flip": False, "crop": 0},
    "epochs": 5,
}
_LM: dict = {"task": "lm", "options": {"blocks": 2, "width": 0.25}, "epochs": 1}
_KERNEL = "initial kernel of dense and convolution"
_RECURRENT = "initial recurrent kernels and biases"
_SLOPE = "leaky ReLU: slope below zero"
_OLD_WEIGHT = "Keras, flax: 0.99, the weight of the old value"
_KERAS_RNN, _FLAX_RNN = "Keras: Glorot uniform, orthogonal, zeros", "flax: LeCun normal, orthogonal, zeros"
DEFAULTS = (
    Default(_KERNEL, "torch: uniform ±1/sqrt(fan_in)", **_MLP, in_weights=torch_kernels),
    Default(_KERNEL, "flax: LeCun normal", **_MLP, in_weights=lecun_kernels),
    Default(_RECURRENT, _KERAS_RNN, **_RNN, in_weights=of_recurrent_layers(glorot)),
    Default(_RECURRENT, _FLAX_RNN, **_RNN, in_weights=of_recurrent_layers(lecun)),
    Default("initial bias", "torch: uniform ±1/sqrt(fan_in)", **_MLP, in_weights=torch_biases),
    Default("Adam: epsilon", "torch, optax: 1e-8", **_MLP, in_task=optimizer(epsilon=1e-8)),
    Default("RMSprop: epsilon", "torch: 1e-8", **_RMSPROP, in_task=optimizer(epsilon=1e-8)),
    Default("RMSprop: decay of the mean square", "torch: 0.99", **_RMSPROP, in_task=optimizer(rho=0.99)),
    Default("weight decay", "torch AdamW: 0.01", **_MLP, in_task=decay(0.01)),
    Default("weight decay", "Keras AdamW: 0.004", **_MLP, in_task=decay(0.004)),
    Default(_SLOPE, "torch: 0.01", **_GAN, slope=0.01),
    Default(_SLOPE, "Keras layer: 0.3", **_GAN, slope=0.3),
    Default("BatchNorm: epsilon", "Keras: 1e-3", **_RESNET, in_task=layers(BatchNorm, epsilon=1e-3)),
    Default("BatchNorm: momentum", _OLD_WEIGHT, **_RESNET, in_task=layers(BatchNorm, update_rate=0.01)),
    Default("LayerNorm: epsilon", "Keras: 1e-3", **_LM, in_task=layers(LayerNorm, epsilon=1e-3)),
    Default("GELU", "JAX: approximated by tanh", **_LM, in_task=layers(Dense, activation="gelu_tanh")),
    Default("initial embeddings", "torch: deviation 1", **_LM, in_weights=embeddings(lambda _: 1)),
    Default(
        "initial embeddings",
        "flax: deviation 1/sqrt(width)",
        **_LM,
        in_weights=embeddings(lambda table: table.shape[1] ** -0.5),
    ),
)


@contextlib.contextmanager
def leaky_slope(slope: float | None) -> Iterator[None]:
    pinned = harness_jax.layers.LEAKY_RELU_SLOPE
    harness_jax.layers.LEAKY_RELU_SLOPE = pinned if slope is None else slope
    try:
        yield
    finally:
        harness_jax.layers.LEAKY_RELU_SLOPE = pinned


def trained_score(task: Task, dataset: str, weights: Weights, seed: int) -> float:
    """Test accuracy in per cent after the task's epochs; the Fréchet distance for a GAN."""
    data = split_samples(registry.dataset(dataset).load(), "float32", tokens=task.takes_tokens())
    program = JaxProgram(
        Plan(task=task, mode="jit", device="cpu", threads=2, seed=seed, precision="float32"), data["train"]
    )
    program.load(weights)
    order = BatchOrder.of_task(task, len(data["train"]), seed)
    step = 0
    while step < task.epochs * order.steps_per_epoch:
        count = order.run_length(step)
        program.train(order.steps(step, count, np.float32))
        step += count
    if isinstance(task.objective, Adversarial):
        fakes = generate(task.objective, program.predict, data["test"])
        return Judge(data["train"]).distance(data["test"].inputs, fakes)["frechet_distance"]
    if task.takes_tokens():
        return score(task, program.predict, at_most(data["test"], TEXTS)).scores["loss"]
    return 100 * score(task, program.predict, data["test"]).scores["accuracy"]


def pinned_task(default: Default) -> tuple[Task, str]:
    definition = registry.task(default.task)
    options = msgspec.convert(default.options, definition.options)
    task = definition.define(options)
    if default.epochs is not None:
        task = msgspec.structs.replace(task, epochs=default.epochs)
    return task, DATASETS.get(default.task, definition.datasets[0])


def measure_cost(default: Default, seeds: int, known: dict[str, list[float]]) -> Cost:
    task, dataset = pinned_task(default)
    conditions = f"{default.task} {default.options}"
    if conditions not in known:
        known[conditions] = [
            trained_score(task, dataset, initial_weights(task, seed), seed) for seed in range(seeds)
        ]
    changed = default.in_task(task)
    with leaky_slope(default.slope):
        others = [
            trained_score(
                changed, dataset, default.in_weights(changed, initial_weights(changed, seed), seed), seed
            )
            for seed in range(seeds)
        ]
    differences = [other - pinned for pinned, other in zip(known[conditions], others, strict=True)]
    options = "".join(f", {key} {value}" for key, value in default.options.items())
    if default.epochs is not None:
        options += f", {default.epochs} epoch{'s' * (default.epochs > 1)}"
    difference = mean_interval(differences)
    return Cost(
        topic=default.topic,
        default=default.description,
        task=f"{default.task} on {dataset}{options}",
        score=SCORES.get(default.task, "test accuracy (%)"),
        pinned=round(float(np.mean(known[conditions])), 2),
        difference=Estimate(
            round(difference.value, 2), round(difference.low, 2), round(difference.high, 2), difference.n
        ),
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument(
        "--only", metavar="TOPIC", action="append", help="measure only this topic and keep the other costs"
    )
    arguments = options.parse_args()
    kept = [cost for cost in measured_costs().costs if arguments.only and cost.topic not in arguments.only]
    known: dict[str, list[float]] = {}
    for default in DEFAULTS:
        if arguments.only and default.topic not in arguments.only:
            continue
        kept.append(measure_cost(default, arguments.seeds, known))
        print(kept[-1], flush=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    made = Costs(made=today, jax=jax.__version__, costs=kept)
    COSTS_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")


if __name__ == "__main__":
    main()
