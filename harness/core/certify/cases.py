"""Certification cases: small seeded programs of a task, one for each kind of training rule."""

import typing
from typing import Any

import msgspec
import numpy as np

from harness.core.plugins.definition import define_task
from harness.core.reference.training import without_dropout
from harness.core.training import draws
from harness.errors import UsageError
from harness.layers import (
    GRU,
    LSTM,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    Native,
    PositionEmbedding,
    Reshape,
)
from harness.network import Network
from harness.spec.data import Samples
from harness.spec.schedules import ConstantRate
from harness.spec.task import (
    LOSSES,
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Regression,
    Sgd,
    Task,
    TaskDefinition,
)

_Options = dict[str, Any]

#: The most steps in which a case's learning rate rises.
WARMUP_STEPS = 4
#: The case in which clipping, decay and momentum meet a rate that changes at each step, up and down.
SCHEDULE_CASE = "schedule, clipping"
#: The case of differentially private gradients. Its clip is below the norms of single arrays and of the mean
#: gradient, so that it shows what is clipped; that shorter gradients stay as they are is tested by
#: :mod:`harness.core.certify.noise`.
PRIVATE_CASE = "dp-sgd"
_SMOOTHING_CASE, _SMOOTHING = "label smoothing", 0.1
_PLAIN: _Options = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.0,
    "l2": 0.0,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup_steps": 0,
    "clip_norm": 0.0,
    "flip": False,
    "crop": 0,
}
#: Options by the name of their case; every regulariser is in one at least. A task that does not declare all
#: options of a case gets those that it declares. An optimizer that is in none has a case of its name.
_RULES: dict[str, _Options] = {
    "momentum, l1": {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "l1": 1e-4},
    "nesterov, l2": {
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "momentum": 0.9,
        "nesterov": True,
        "l2": 1e-3,
    },
    "adam, weight decay": {"optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0.1},
    "rmsprop, l2": {"optimizer": "rmsprop", "learning_rate": 1e-3, "l2": 1e-3},
    "full-batch gd": {"optimizer": "gd", "learning_rate": 0.1},
    _SMOOTHING_CASE: {"label_smoothing": _SMOOTHING},
    PRIVATE_CASE: {"optimizer": "sgd", "learning_rate": 0.1, "l2": 1e-3, "dp_noise": 0.5, "dp_clip": 0.75},
    **{loss: {"loss": loss} for loss in LOSSES},
    SCHEDULE_CASE: {
        "optimizer": "sgd",
        "learning_rate": 0.2,
        "momentum": 0.9,
        "weight_decay": 0.1,
        "schedule": "cosine",
        "warmup_steps": WARMUP_STEPS,
        "clip_norm": 0.25,
    },
}
#: Further options of a case, where the task declares them.
_WHERE_DECLARED: dict[str, _Options] = {"full-batch gd": {"flip": True, "crop": 4}}


def plain_task(definition: TaskDefinition) -> Task:
    """Give the task plain gradient descent, even where its options offer none."""
    task = _defined(definition, {}) or default_task(definition)
    if task.schedule != ConstantRate() or task.clip_norm:  # else these fields stay out of the hash
        task = msgspec.structs.replace(task, schedule=ConstantRate(), clip_norm=0.0)
    if task.optimizer == Sgd(task.optimizer.learning_rate):
        return task
    return msgspec.structs.replace(task, optimizer=Sgd(_PLAIN["learning_rate"]))


def tasks_by_rule(definition: TaskDefinition) -> dict[str, Task]:
    """Return the task with each rule that its options offer, without rules that add nothing new."""
    tasks: dict[str, Task] = {}
    tried = set(_PLAIN.items())
    for name, rule in _RULES.items():
        for case, options in _variants(definition, name, rule).items():
            new = {item for item in options.items() if item[0] != "learning_rate"} - tried
            task = _defined(definition, options)
            if new and task:
                tasks[case] = task
                tried |= new
    certified = {type(task.optimizer) for task in tasks.values()}
    for name in _optimizers(definition):
        task = _defined(definition, {"optimizer": name})
        if task and type(task.optimizer) not in certified:
            tasks[name] = task
    return tasks


def _optimizers(definition: TaskDefinition) -> tuple[str, ...]:
    """Return the optimizers that a task offers."""
    kind = typing.get_type_hints(definition.options).get("optimizer")
    return typing.get_args(kind)


def _variants(definition: TaskDefinition, name: str, rule: _Options) -> dict[str, _Options]:
    """Return the options of a rule that the task declares, by case.

    Where the task refuses their combination, there is one case without each option.
    """
    declared = _declared(definition, rule | _WHERE_DECLARED.get(name, {}))
    if _defined(definition, declared) is None:
        fewer = [{key: declared[key] for key in declared if key != left_out} for left_out in declared]
    elif rule.items() <= declared.items():
        return {name: declared}
    else:
        fewer = [declared]
    return {", ".join(f"{key}={value}" for key, value in options.items()): options for options in fewer}


def _declared(definition: TaskDefinition, options: _Options) -> _Options:
    """Return the options that the task declares and that accept their value."""
    return {key: value for key, value in options.items() if _converted(definition, {key: value}) is not None}


def _defined(definition: TaskDefinition, options: _Options) -> Task | None:
    """Define the certified task with these options, others as in plain training; None if they are refused."""
    converted = _converted(definition, dict(definition.certified) | _declared(definition, _PLAIN) | options)
    try:
        return None if converted is None else define_task(definition, converted)
    except UsageError:
        return None


def default_task(definition: TaskDefinition) -> Task:
    """Return the certified task with all other options at their defaults."""
    return define_task(definition, msgspec.convert(definition.certified, definition.options))


def _converted(definition: TaskDefinition, options: _Options) -> msgspec.Struct | None:
    if not set(options) <= set(definition.options.__struct_fields__):
        return None
    try:
        return msgspec.convert(options, definition.options)
    except msgspec.ValidationError:
        return None


#: An epoch is three full batches, in some cases followed by a short one. Two epochs are trained.
FULL_SAMPLES = 24
SAMPLES = 27
BATCH_SIZE = 8
#: The batch size of a model of the user's own, whose steps may take seconds. In a smaller batch a
#: normalisation that sees one position has nearly nothing to normalise.
_NATIVE_BATCH_SIZE = 4
#: Steps of tasks whose updates repeat themselves after the first step of the second epoch: `_settles_soon`.
STEPS = 8
#: Steps of all other tasks: a schedule has room, and running statistics move away from their start.
MANY_STEPS = 24
#: The layers of networks for which few steps suffice: sequences without state, embeddings or branches.
_SOON_SETTLED = (Conv2D, ConvTranspose2D, MaxPool2D, Flatten, Reshape, Dense, Dropout, GRU, LSTM)
SEED = 20

#: The case that every task has. Plain gradient descent shows the gradients: what a step subtracts.
_GRADIENT_CASE = "sgd"
#: The case of networks that pool. In images of flat squares most windows hold equal values, as black and
#: white areas of real images do, and only one of the values may get the gradient. The squares are large
#: enough to leave such windows after two convolutions and poolings. Which of the equal values gets the
#: gradient does not show, because they all see the same inputs.
_POOLING_CASE = "ties in pooling"
_FLAT_SQUARE = 16
#: The case of networks with positions: a sequence of half the length.
_SHORTER_CASE = "shorter sequence"
_WEIGHTED_CASE = "class weights"
_SMOOTHED_CASE = "class weights, label smoothing"
#: Cases whose last batch is of one sample. References of the first tasks were made with three.
_BATCH_OF_ONE_CASES = {_SHORTER_CASE, _SMOOTHED_CASE}
_SAMPLES_LEAVING_ONE = 25
#: The cases of a model of the user's own, whose steps may take seconds. They show what depends on the model:
#: its gradients and state, and which of its arrays are penalised and decayed. The other rules of training are
#: the backend's, and are certified on other tasks.
_NATIVE_CASES = {_GRADIENT_CASE, "default", "nesterov, l2", "adam, weight decay"}
#: The width of networks that make hundreds of steps.
_NARROW = 0.25
_PICTURE_AXES = 3
#: Cases with a short last batch. Only these, because compilers take seconds for each shape, and the effect
#: of a short batch on the loss does not depend on the optimizer.
SHORT_BATCH_CASES = {_GRADIENT_CASE, _WEIGHTED_CASE, _SMOOTHED_CASE, _SHORTER_CASE, PRIVATE_CASE, *LOSSES}


class Case(msgspec.Struct, frozen=True):
    """One program to certify: its name, its task, its number of samples, and what is observed.

    ``gradient_rate``, the learning rate of plain gradient descent, asks for the gradients of the first step;
    ``outputs`` for the outputs of each network in evaluation mode. ``flat_square`` makes images of squares
    with this many pixels a side, each square of one value per channel (unset: not part of the hash).
    ``length`` is the number of steps to train (unset: :data:`STEPS`).
    """

    name: str
    task: Task
    samples: int = FULL_SAMPLES
    gradient_rate: float | None = None
    outputs: bool = False
    flat_square: int | msgspec.UnsetType = msgspec.UNSET
    length: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def steps(self) -> int:
        """The number of training steps."""
        return STEPS if self.length is msgspec.UNSET else self.length

    def data(self) -> Samples:
        """Return the training data; see :func:`case_samples`."""
        samples = case_samples(self.task, self.samples)
        if self.flat_square is msgspec.UNSET:
            return samples
        height, width = samples.inputs.shape[1:3]
        corners = samples.inputs[:, :: self.flat_square, :: self.flat_square]
        flat = corners.repeat(self.flat_square, axis=1).repeat(self.flat_square, axis=2)
        return Samples(flat[:, :height, :width], samples.targets)


def cases(definition: TaskDefinition) -> list[Case]:
    """Return the cases of a task, in a fixed order."""
    plain = plain_task(definition)
    tasks = {_GRADIENT_CASE: plain, "default": default_task(definition)}
    tasks |= tasks_by_rule(definition) | _by_objective(plain)
    network = plain.networks[data_network(plain)]
    if _pools_images(network):
        tasks[_POOLING_CASE] = plain
    if any(isinstance(place.layer, PositionEmbedding) for place in network.leaves()):
        shorter = msgspec.structs.replace(network, input_shape=(-(-network.input_shape[0] // 2),))
        tasks[_SHORTER_CASE] = msgspec.structs.replace(plain, networks={"model": shorter})
    if any(isinstance(place.layer, Native) for place in network.leaves()):
        native = {name: task for name, task in tasks.items() if name in _NATIVE_CASES}
        return [_case(name, task, STEPS, _NATIVE_BATCH_SIZE) for name, task in native.items()]
    steps = STEPS if _settles_soon(plain) else MANY_STEPS
    return [_case(name, task, steps, BATCH_SIZE) for name, task in tasks.items()]


def _settles_soon(task: Task) -> bool:
    """Check that a few steps show all that more steps would show."""
    places = (place for network in task.networks.values() for place in network.placed())
    plain = all(isinstance(place.layer, _SOON_SETTLED) for place in places)
    return plain and not isinstance(task.objective, BinaryClassification)


def _by_objective(plain: Task) -> dict[str, Task]:
    """Add class weights, and smoothed labels where the task makes many steps and has such labels."""
    changes: dict[str, Any]
    match plain.objective:
        case Classification():
            classes = plain.networks["model"].output_shape()[-1]
            name = _WEIGHTED_CASE
            changes = {"class_weights": tuple(0.5 + 1.5 * label / classes for label in range(classes))}
            if not _settles_soon(plain) and plain.special_loss() is None:
                name, changes = _SMOOTHED_CASE, changes | {"label_smoothing": _SMOOTHING}
        case BinaryClassification():
            name, changes = _WEIGHTED_CASE, {"class_weights": (0.5, 1.25)}
        case _:
            return {}
    objective = msgspec.structs.replace(plain.objective, **changes)
    return {name: msgspec.structs.replace(plain, objective=objective)}


def _case(name: str, task: Task, steps: int, batch_size: int) -> Case:
    samples = (SAMPLES if name in SHORT_BATCH_CASES else FULL_SAMPLES) - 3 * (BATCH_SIZE - batch_size)
    if name in _BATCH_OF_ONE_CASES or (name == _WEIGHTED_CASE and not _settles_soon(task)):
        samples = _SAMPLES_LEAVING_ONE
    if name == SCHEDULE_CASE:
        steps = MANY_STEPS
    rate = task.optimizer.learning_rate if name in {_GRADIENT_CASE, _POOLING_CASE, _SHORTER_CASE} else None
    # Outputs in evaluation mode depend on the network alone, unless a backend augments there too.
    outputs = name in {_GRADIENT_CASE, _SHORTER_CASE} or task.augmentation != Augmentation()
    flat_square = _FLAT_SQUARE if name == _POOLING_CASE else msgspec.UNSET
    length = steps if steps != STEPS else msgspec.UNSET
    return Case(name, _small(task, samples, steps, batch_size), samples, rate, outputs, flat_square, length)


def _pools_images(network: Network) -> bool:
    pools = any(isinstance(place.layer, MaxPool2D) for place in network.leaves())
    return pools and len(network.input_shape) == _PICTURE_AXES


def _small(task: Task, samples: int, steps: int, small_batch: int) -> Task:
    """Give the task a small batch, and remove dropout: frameworks cannot share random bits.

    The course of a schedule lies within the case.
    """
    batch_size = None if task.batch_size is None else small_batch
    task = msgspec.structs.replace(without_dropout(task), batch_size=batch_size)
    if task.schedule == ConstantRate():
        return task
    warmup = min(WARMUP_STEPS, task.schedule.warmup_steps)
    schedule = msgspec.structs.replace(task.schedule, warmup_steps=warmup)
    return msgspec.structs.replace(
        task, schedule=schedule, epochs=steps // -(-samples // (batch_size or samples))
    )


def narrow_networks(definition: TaskDefinition) -> dict[str, Network]:
    """Return the task's networks without dropout, at a quarter of their width where that is an option."""
    narrow = (
        definition
        if "width" not in definition.options.__struct_fields__
        else msgspec.structs.replace(definition, certified=dict(definition.certified) | {"width": _NARROW})
    )
    return without_dropout(plain_task(narrow)).networks


def case_samples(task: Task, count: int = SAMPLES) -> Samples:
    """Draw float64 inputs ``(count, *input)`` in [0, 1), or tokens, and targets that fit the objective."""
    network = task.networks[data_network(task)]
    inputs = draws.uniform((count, *network.input_shape), SEED, "parity inputs")
    if vocabulary := network.vocabulary():
        inputs = (inputs * vocabulary).astype(np.int64)
    match task.objective:
        case Regression():
            return Samples(inputs, draws.normal((count, *network.output_shape()), SEED, "parity targets"))
        case Classification():
            *positions, classes = network.output_shape()
            drawn = draws.uniform((count, *positions), SEED, "parity targets") * classes
            return Samples(inputs, drawn.astype(np.int64))
        case BinaryClassification():
            drawn = draws.uniform((count,), SEED, "parity targets") * 2
            return Samples(inputs, drawn.astype(np.int64))
        case Adversarial():
            return Samples(inputs, np.zeros(count, np.int64))


def data_network(task: Task) -> str:
    """Return the name of the network that sees the data."""
    return "discriminator" if isinstance(task.objective, Adversarial) else "model"
