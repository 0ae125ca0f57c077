"""The settings of a task in a matrix of runs: every combination of its options and batch sizes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.errors import UsageError
from harness.plugins.definition import define_task, resized
from harness.plugins.options import Value, options_with, parse_alternatives
from harness.spec.task import Task, TaskDefinition

#: What varies in a matrix: names such as ``optimizer``, and their values in the order given.
Axes = dict[str, list[Value]]


class Setting(NamedTuple):
    """A task as it will be trained, with the value of each of its options.

    ``varied`` are the values of what has several in the matrix.
    """

    task: Task
    options: dict[str, Value]
    varied: dict[str, Value]


def settings(
    definition: TaskDefinition,
    assignments: Sequence[str],
    batch_sizes: Sequence[int] = (),
    epochs: int | None = None,
) -> list[Setting]:
    """Each combination of the options' values and the batch sizes; those given first change slowest.

    What takes all training data at once is planned once, whatever the batch sizes.

    Raises:
        UsageError: a value does not fit, options exclude each other, or there are batch sizes and no
            combination trains in batches.
    """
    axes = parse_alternatives(definition, assignments)
    several = {name for name, values in axes.items() if len(values) > 1}
    defined = [_define(definition, chosen, several) for chosen in _combinations(axes)]
    in_batches = any(setting.task.batch_size for setting in defined)
    sized = []
    for setting in defined:
        applies = setting.task.batch_size is not None or not in_batches
        for size in batch_sizes if applies and batch_sizes else [None]:
            varied = setting.varied | ({"batch_size": size} if size and len(batch_sizes) > 1 else {})
            sized.append(setting._replace(task=resized(setting.task, size, epochs), varied=varied))
    return sized


def _combinations(axes: Axes) -> list[dict[str, Value]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _define(definition: TaskDefinition, chosen: Mapping[str, Value], several: set[str]) -> Setting:
    options = options_with(definition, chosen)
    varied = {name: value for name, value in chosen.items() if name in several}
    try:
        task = define_task(definition, options)
    except UsageError as error:
        if not varied:
            raise
        combination = " ".join(f"--set {name}={value_text(value)}" for name, value in varied.items())
        raise UsageError(
            f"{combination}: {str(error).removeprefix('--set: ')} "
            "Run the values that do not go together in calls of their own."
        ) from error
    return Setting(task, msgspec.structs.asdict(options), varied)


def value_text(value: Value) -> str:
    """A value as on the command line: ``true``, ``0.01``, ``adam``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
