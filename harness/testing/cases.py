"""What a backend is certified on: small seeded programs of a task, one for each rule it may be given."""

from typing import Any

import msgspec
import numpy as np

from harness.errors import UsageError
from harness.layers import Dropout, MaxPool2D
from harness.network import Network
from harness.plugins.definition import define_task
from harness.spec.data import Samples
from harness.spec.task import Adversarial, Augmentation, Classification, Regression, Sgd, Task, TaskDefinition
from harness.training import draws

#: Three full batches make an epoch, and in some cases a short one follows; two epochs are trained.
FULL_SAMPLES = 24
SAMPLES = 27
BATCH_SIZE = 8
STEPS = 8
SEED = 20

_Options = dict[str, Any]

#: The case that every task has; it tells the gradients of the first step: what that took off the weights.
_GRADIENT_CASE = "sgd"
#: The case of those that pool: in pictures of flat squares most windows hold equal values, as in real ones
#: where it is black or white, and one of the values alone must get the gradient. So large that after two
#: convolutions and poolings some are left. All of a window see the same, so which one it is does not show.
_POOLING_CASE = "ties in pooling"
_FLAT_SQUARE = 16
_PICTURE_AXES = 3
_PLAIN: _Options = {"optimizer": "sgd", "learning_rate": 0.1}
#: What else a task may be given, by the name of its case: each optimizer and each regulariser is in one at
#: least. Of a task that does not declare all of a case's options, those that it does are asked.
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
#: What a case has besides, where the task declares it.
_WHERE_DECLARED: dict[str, _Options] = {"full-batch gd": {"flip": True, "crop": 4}}
#: Cases with a short last batch. Not all of them, because a compiler takes seconds for each shape, and what
#: a short batch does to the loss does not depend on which optimizer it is.
SHORT_BATCH_CASES = {_GRADIENT_CASE, "class weights"}


class Case(msgspec.Struct, frozen=True):
    """One program to certify: its name, its task, how many samples it has, and what is told of it.

    With ``gradient_rate``, the learning rate of plain gradient descent, the gradients of the first step
    are told; with ``outputs`` those of each network in evaluation mode. With ``flat_square`` its pictures
    are squares of so many pixels a side, each of one value a channel (unset, it is not in the hash).
    """

    name: str
    task: Task
    samples: int = FULL_SAMPLES
    gradient_rate: float | None = None
    outputs: bool = False
    flat_square: int | msgspec.UnsetType = msgspec.UNSET

    def data(self) -> Samples:
        """What it trains on; see :func:`case_samples`."""
        found = case_samples(self.task, self.samples)
        if self.flat_square is msgspec.UNSET:
            return found
        height, width = found.inputs.shape[1:3]
        corners = found.inputs[:, :: self.flat_square, :: self.flat_square]
        flat = corners.repeat(self.flat_square, axis=1).repeat(self.flat_square, axis=2)
        return Samples(flat[:, :height, :width], found.targets)


def cases(definition: TaskDefinition) -> list[Case]:
    """The cases of a task, in a fixed order.

    Raises:
        HarnessError: its ``define`` makes no task of the defaults of its options.
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
    # Evaluation mode depends on the network alone, and on nobody augmenting there.
    outputs = name == _GRADIENT_CASE or task.augmentation != Augmentation()
    flat_square = _FLAT_SQUARE if name == _POOLING_CASE else msgspec.UNSET
    return Case(name, _small(task), samples, rate, outputs, flat_square)


def _pools_pictures(network: Network) -> bool:
    pools = any(isinstance(layer, MaxPool2D) for layer in network.layers)
    return pools and len(network.input_shape) == _PICTURE_AXES


def _plain(definition: TaskDefinition) -> Task:
    """The task by plain gradient descent, whether its options can ask for that or not."""
    task = _defined(definition, _declared(definition, _PLAIN))
    task = task or define_task(definition, definition.options())
    if task.optimizer == Sgd(task.optimizer.learning_rate):
        return task
    return msgspec.structs.replace(task, optimizer=Sgd(_PLAIN["learning_rate"]))


def _by_rule(definition: TaskDefinition) -> dict[str, Task]:
    """The task by each rule that its options can ask for, those left out that ask for nothing new."""
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
    """The options of a rule that the task declares, by case; all but one where it refuses them together."""
    declared = _declared(definition, rule | _WHERE_DECLARED.get(name, {}))
    if _defined(definition, declared) is None:
        fewer = [{key: declared[key] for key in declared if key != left_out} for left_out in declared]
    elif rule.items() <= declared.items():
        return {name: declared}
    else:
        fewer = [declared]
    return {", ".join(f"{key}={value}" for key, value in options.items()): options for options in fewer}


def _declared(definition: TaskDefinition, options: _Options) -> _Options:
    """Those of the options that the task declares, and that may have this value there."""
    return {key: value for key, value in options.items() if _converted(definition, {key: value}) is not None}


def _defined(definition: TaskDefinition, options: _Options) -> Task | None:
    """The task with these options; None where it refuses them together."""
    settings = _converted(definition, options)
    try:
        return None if settings is None else define_task(definition, settings)
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
    """With a small batch, and without dropout: its bits cannot be shared."""
    networks = {
        name: msgspec.structs.replace(
            network, layers=tuple(layer for layer in network.layers if not isinstance(layer, Dropout))
        )
        for name, network in task.networks.items()
    }
    batch_size = None if task.batch_size is None else BATCH_SIZE
    return msgspec.structs.replace(task, networks=networks, batch_size=batch_size)


def case_samples(task: Task, count: int = SAMPLES) -> Samples:
    """Seeded float64 inputs ``(count, *input)`` in [0, 1) and targets that fit the task's objective."""
    network = task.networks[data_network(task)]
    inputs = draws.uniform((count, *network.input_shape), SEED, "parity inputs")
    match task.objective:
        case Regression():
            return Samples(inputs, draws.normal((count, *network.output_shape()), SEED, "parity targets"))
        case Classification():
            drawn = draws.uniform((count,), SEED, "parity targets") * network.output_shape()[-1]
            return Samples(inputs, drawn.astype(np.int64))
        case Adversarial():
            return Samples(inputs, np.zeros(count, np.int64))


def data_network(task: Task) -> str:
    """The name of the network that sees the data."""
    return "discriminator" if isinstance(task.objective, Adversarial) else "model"
