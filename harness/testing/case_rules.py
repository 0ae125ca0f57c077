"""A task with each kind of training rule that its options offer, by the name of the case."""

from typing import Any

import msgspec

from harness.errors import UsageError
from harness.plugins.definition import define_task
from harness.spec.schedules import ConstantRate
from harness.spec.task import Sgd, Task, TaskDefinition

_Options = dict[str, Any]

#: The most steps in which a case's learning rate rises.
WARMUP_STEPS = 4
#: The case in which clipping, decay and momentum meet a rate that changes at each step, up and down.
SCHEDULE_CASE = "schedule, clipping"
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
    """The task with plain gradient descent, even where its options offer none."""
    task = _defined(definition, {}) or default_task(definition)
    if task.schedule != ConstantRate() or task.clip_norm:  # else these fields stay out of the hash
        task = msgspec.structs.replace(task, schedule=ConstantRate(), clip_norm=0.0)
    if task.optimizer == Sgd(task.optimizer.learning_rate):
        return task
    return msgspec.structs.replace(task, optimizer=Sgd(_PLAIN["learning_rate"]))


def tasks_by_rule(definition: TaskDefinition) -> dict[str, Task]:
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
    """The certified task with these options, others as in plain training; None where it refuses them."""
    if not set(options) <= set(definition.options.__struct_fields__):
        return None
    converted = _converted(definition, dict(definition.certified) | _declared(definition, _PLAIN) | options)
    try:
        return None if converted is None else define_task(definition, converted)
    except UsageError:
        return None


def default_task(definition: TaskDefinition) -> Task:
    """The certified task with all other options at their defaults."""
    return define_task(definition, msgspec.convert(definition.certified, definition.options))


def _converted(definition: TaskDefinition, options: _Options) -> msgspec.Struct | None:
    if not set(options) <= set(definition.options.__struct_fields__):
        return None
    try:
        return msgspec.convert(options, definition.options)
    except msgspec.ValidationError:
        return None
