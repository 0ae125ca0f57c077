"""What a backend is certified on: small seeded programs of a task, one for each rule it may be given."""

from typing import Any

import msgspec
import numpy as np

from harness import draws
from harness.network import Network
from harness.spec import Adversarial, Augmentation, Classification, Regression, Samples, Task, TaskDefinition

#: Three full batches make an epoch, and in some cases a short one follows; two epochs are trained.
FULL_SAMPLES = 24
SAMPLES = 27
BATCH_SIZE = 8
STEPS = 8
SEED = 20

#: Options of each case, by name. Each optimizer and each regulariser is in one at least; a case whose
#: options a task does not declare is not asked of it. Dropout stays off: its bits cannot be shared.
_OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
    "default": {},
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
_WHERE_DECLARED: dict[str, dict[str, Any]] = {"full-batch gd": {"flip": True, "crop": 4}}
#: The case that every task has; it tells the gradients of the first step: what that took off the weights.
_GRADIENT_CASE = "sgd"
#: Cases with a short last batch. Not all of them, because a compiler takes seconds for each shape, and what
#: a short batch does to the loss does not depend on which optimizer it is.
SHORT_BATCH_CASES = {"sgd", "class weights"}


class Case(msgspec.Struct, frozen=True):
    """One program to certify: its name, its task, how many samples it has, and what is told of it.

    With ``gradient_rate``, the learning rate of plain gradient descent, the gradients of the first step
    are told; with ``outputs`` those of each network in evaluation mode.
    """

    name: str
    task: Task
    samples: int = FULL_SAMPLES
    gradient_rate: float | None = None
    outputs: bool = False


def cases(definition: TaskDefinition) -> list[Case]:
    """The cases of a task, in a fixed order."""
    found = []
    for name, options in _OPTIONS.items():
        settings = _settings(definition, options | _declared(definition, _WHERE_DECLARED.get(name, {})))
        if settings is not None:
            rate = options["learning_rate"] if name == _GRADIENT_CASE else None
            found.append(_case(name, _small(definition.define(settings)), rate))
    first = found[0].task
    if isinstance(first.objective, Classification):
        classes = first.networks["model"].output_shape()[-1]
        weights = tuple(0.5 + 1.5 * label / classes for label in range(classes))
        weighted = msgspec.structs.replace(first, objective=Classification(weights))
        found.append(_case("class weights", weighted))
    return found


def _case(name: str, task: Task, gradient_rate: float | None = None) -> Case:
    samples = SAMPLES if name in SHORT_BATCH_CASES else FULL_SAMPLES
    # Evaluation mode depends on the network alone, and on nobody augmenting there.
    outputs = gradient_rate is not None or task.augmentation != Augmentation()
    return Case(name, task, samples, gradient_rate, outputs)


def _declared(definition: TaskDefinition, options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key in definition.options.__struct_fields__}


def _settings(definition: TaskDefinition, options: dict[str, Any]) -> msgspec.Struct | None:
    """The task's options with these set; None where it does not declare them or that value of one."""
    if not set(options) <= set(definition.options.__struct_fields__):
        return None
    try:
        return msgspec.convert(options, definition.options)
    except msgspec.ValidationError:
        return None


def _small(task: Task) -> Task:
    batch_size = None if task.batch_size is None else BATCH_SIZE
    return msgspec.structs.replace(task, batch_size=batch_size)


def case_samples(task: Task, count: int = SAMPLES) -> Samples:
    """Seeded float64 inputs ``(count, *input)`` in [0, 1) and targets that fit the task's objective."""
    network = _seeing_data(task)
    inputs = draws.uniform((count, *network.input_shape), SEED, "parity inputs")
    match task.objective:
        case Regression():
            return Samples(inputs, draws.normal((count, *network.output_shape()), SEED, "parity targets"))
        case Classification():
            drawn = draws.uniform((count,), SEED, "parity targets") * network.output_shape()[-1]
            return Samples(inputs, drawn.astype(np.int64))
        case Adversarial():
            return Samples(inputs, np.zeros(count, np.int64))


def _seeing_data(task: Task) -> Network:
    return task.networks["discriminator" if isinstance(task.objective, Adversarial) else "model"]
