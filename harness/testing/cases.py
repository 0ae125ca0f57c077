"""What a backend is certified on: small seeded programs of a task, one for each kind of training rule."""

from typing import Any

import msgspec
import numpy as np

from harness.errors import UsageError
from harness.layers import AnyLayer, Dropout, MaxPool2D, Residual, SelfAttention, Skip
from harness.network import Network
from harness.plugins.definition import define_task
from harness.spec.data import Samples
from harness.spec.task import (
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Regression,
    Sgd,
    Task,
    TaskDefinition,
)
from harness.training import draws

#: An epoch is three full batches, in some cases followed by a short one. Two epochs are trained.
FULL_SAMPLES = 24
SAMPLES = 27
BATCH_SIZE = 8
STEPS = 8
SEED = 20
#: Samples of a case whose clock is tested: 128 steps an epoch, so that calls are as long as those of a run.
CLOCK_SAMPLES = 128 * BATCH_SIZE

_Options = dict[str, Any]

#: The case that every task has. Plain gradient descent shows the gradients: what a step subtracts.
_GRADIENT_CASE = "sgd"
#: The case of networks that pool. In pictures of flat squares most windows hold equal values, as black and
#: white areas of real pictures do, and only one of the values may get the gradient. The squares are large
#: enough to leave such windows after two convolutions and poolings. Which of the equal values gets the
#: gradient does not show, because they all see the same inputs.
_POOLING_CASE = "ties in pooling"
_FLAT_SQUARE = 16
_PICTURE_AXES = 3
_PLAIN: _Options = {"optimizer": "sgd", "learning_rate": 0.1}
#: Options by the name of their case; every optimizer and regulariser is in one at least. A task that does not
#: declare all options of a case gets those that it declares.
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
}
#: Further options of a case, where the task declares them.
_WHERE_DECLARED: dict[str, _Options] = {"full-batch gd": {"flip": True, "crop": 4}}
#: Cases with a short last batch. Only these, because compilers take seconds for each shape, and the effect
#: of a short batch on the loss does not depend on the optimizer.
SHORT_BATCH_CASES = {_GRADIENT_CASE, "class weights"}


class Case(msgspec.Struct, frozen=True):
    """One program to certify: its name, its task, its number of samples, and what is observed.

    ``gradient_rate``, the learning rate of plain gradient descent, asks for the gradients of the first step;
    ``outputs`` for the outputs of each network in evaluation mode. ``flat_square`` makes pictures of squares
    with this many pixels a side, each square of one value per channel (unset: not part of the hash).
    """

    name: str
    task: Task
    samples: int = FULL_SAMPLES
    gradient_rate: float | None = None
    outputs: bool = False
    flat_square: int | msgspec.UnsetType = msgspec.UNSET

    def data(self) -> Samples:
        """The training data; see :func:`case_samples`."""
        samples = case_samples(self.task, self.samples)
        if self.flat_square is msgspec.UNSET:
            return samples
        height, width = samples.inputs.shape[1:3]
        corners = samples.inputs[:, :: self.flat_square, :: self.flat_square]
        flat = corners.repeat(self.flat_square, axis=1).repeat(self.flat_square, axis=2)
        return Samples(flat[:, :height, :width], samples.targets)


def cases(definition: TaskDefinition) -> list[Case]:
    """The cases of a task, in a fixed order.

    Raises:
        HarnessError: ``define`` makes no valid task of the default options.
    """
    plain = _plain(definition)
    tasks = {_GRADIENT_CASE: plain, "default": define_task(definition, definition.options())}
    tasks |= _by_rule(definition)
    if isinstance(plain.objective, Classification):
        classes = plain.networks["model"].output_shape()[-1]
        weights = tuple(0.5 + 1.5 * label / classes for label in range(classes))
        tasks["class weights"] = msgspec.structs.replace(plain, objective=Classification(weights))
    if _pools_pictures(plain.networks[data_network(plain)]):
        tasks[_POOLING_CASE] = plain
    return [_case(name, task) for name, task in tasks.items()]


def _case(name: str, task: Task) -> Case:
    samples = SAMPLES if name in SHORT_BATCH_CASES else FULL_SAMPLES
    rate = task.optimizer.learning_rate if name in {_GRADIENT_CASE, _POOLING_CASE} else None
    # Outputs in evaluation mode depend on the network alone, unless a backend augments there too.
    outputs = name == _GRADIENT_CASE or task.augmentation != Augmentation()
    flat_square = _FLAT_SQUARE if name == _POOLING_CASE else msgspec.UNSET
    return Case(name, _small(task), samples, rate, outputs, flat_square)


def _pools_pictures(network: Network) -> bool:
    pools = any(isinstance(place.layer, MaxPool2D) for place in network.leaves())
    return pools and len(network.input_shape) == _PICTURE_AXES


def _plain(definition: TaskDefinition) -> Task:
    """The task with plain gradient descent, even where its options offer none."""
    task = _defined(definition, _declared(definition, _PLAIN))
    task = task or define_task(definition, definition.options())
    if task.optimizer == Sgd(task.optimizer.learning_rate):
        return task
    return msgspec.structs.replace(task, optimizer=Sgd(_PLAIN["learning_rate"]))


def _by_rule(definition: TaskDefinition) -> dict[str, Task]:
    """The task with each rule that its options offer, without rules that add nothing new."""
    tasks: dict[str, Task] = {}
    tried = set(_PLAIN.items())
    for name, rule in _RULES.items():
        for case, options in _variants(definition, name, rule).items():
            new = {item for item in options.items() if item[0] != "learning_rate"} - tried
            task = _defined(definition, options)
            if new and task:
                tasks[case] = task
                tried |= new
    return tasks


def _variants(definition: TaskDefinition, name: str, rule: _Options) -> dict[str, _Options]:
    """The options of a rule that the task declares, by case.

    Where the task refuses their combination, there is a case without each of them.
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
    """The options that the task declares and that accept this value."""
    return {key: value for key, value in options.items() if _converted(definition, {key: value}) is not None}


def _defined(definition: TaskDefinition, options: _Options) -> Task | None:
    """The task with these options; None where it refuses their combination."""
    converted = _converted(definition, options)
    try:
        return None if converted is None else define_task(definition, converted)
    except UsageError:
        return None


def _converted(definition: TaskDefinition, options: _Options) -> msgspec.Struct | None:
    if not set(options) <= set(definition.options.__struct_fields__):
        return None
    try:
        return msgspec.convert(options, definition.options)
    except msgspec.ValidationError:
        return None


def _small(task: Task) -> Task:
    """The task with a small batch, and without dropout: frameworks cannot share random bits."""
    batch_size = None if task.batch_size is None else BATCH_SIZE
    return msgspec.structs.replace(task, networks=_without_dropout(task), batch_size=batch_size)


def _without_dropout(task: Task) -> dict[str, Network]:
    return {
        name: msgspec.structs.replace(network, layers=_without(network.layers))
        for name, network in task.networks.items()
    }


def _without(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
    """The layers without dropout, at all depths of the tree."""
    kept: list[AnyLayer] = []
    for layer in layers:
        match layer:
            case Dropout():
                continue
            case Residual(body, shortcut):
                kept.append(Residual(_without(body), _without(shortcut)))
            case Skip(body):
                kept.append(Skip(_without(body)))
            case SelfAttention():
                kept.append(msgspec.structs.replace(layer, dropout=0.0))
            case _:
                kept.append(layer)
    return tuple(kept)


def narrow_networks(definition: TaskDefinition) -> dict[str, Network]:
    """The task's networks without dropout, at a quarter of their width where it declares such an option."""
    task = _defined(definition, {"width": 0.25})
    return _without_dropout(task or define_task(definition, definition.options()))


def case_samples(task: Task, count: int = SAMPLES) -> Samples:
    """Seeded float64 inputs ``(count, *input)`` in [0, 1), or tokens, and targets that fit the objective."""
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
    """The name of the network that sees the data."""
    return "discriminator" if isinstance(task.objective, Adversarial) else "model"
