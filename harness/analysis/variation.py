"""Which axes vary among runs, and the axes along which a selection of runs is compared."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.analysis.axes import BACKEND, FIELDS, AxisValue, ordered, value_of
from harness.analysis.axis_groups import regrouped, surroundings_of
from harness.analysis.conditions import Conditions
from harness.analysis.grouping import LeftOut, RunGroup, size_of_group
from harness.errors import UsageError

#: Part of what a configuration is called.
_IN_NAMES = {BACKEND, "mode", "version"}


class Variation(NamedTuple):
    """Runs of a task that differ along several axes; ``values`` are those of each, ascending."""

    task: str
    dataset: str
    values: Mapping[str, Sequence[AxisValue]]


class Arranged(NamedTuple):
    """Groups of runs to be compared, what superseded other runs, and where a choice of axes is open."""

    groups: list[RunGroup]
    left_out: list[LeftOut]
    open: list[Variation]


def arranged(groups: Iterable[RunGroup]) -> Arranged:
    """The groups, with those of a task along the one axis that varies there.

    Where the backend varies, or several axes do, the ordinary groups remain.
    """
    families: dict[Conditions, list[RunGroup]] = defaultdict(list)
    for group in groups:
        families[surroundings_of(group.configurations[0].runs[0].record)].append(group)
    result = Arranged([], [], [])
    for surroundings, family in families.items():
        values = varying(family)
        axes = tuple(values)
        along = regrouped(family, axes) if len(axes) == 1 and axes != (BACKEND,) else None
        if along is not None and any(len(group.configurations) > 1 for group in along.groups):
            result.groups.extend(along.groups)
            result.left_out.extend(along.left_out)
            continue
        result.groups.extend(family)
        variation = Variation(surroundings.task, surroundings.dataset, values)
        if len(axes) > 1 and variation not in result.open:  # it may be the same on two machines
            result.open.append(variation)
    result.groups.sort(key=size_of_group, reverse=True)
    return result


def arranged_along(groups: Sequence[RunGroup], axes: tuple[str, ...]) -> Arranged:
    """The groups along these axes that hold several values of them.

    Raises:
        UsageError: there is none; says why.
    """
    along = regrouped(groups, axes)
    compared = [group for group in along.groups if len(group.configurations) > 1]
    if not compared:
        raise UsageError(_nothing_along(groups, axes))
    return Arranged(compared, along.left_out, [])


def varying(groups: Sequence[RunGroup]) -> dict[str, list[AxisValue]]:
    """The axes along which the runs differ, with the values of each; backends with mode and version."""
    configurations = [configuration for group in groups for configuration in group.configurations]
    names = list(dict.fromkeys(", ".join(filter(None, each.identity)) for each in configurations))
    records = [configuration.runs[0].record for configuration in configurations]
    labels = list(dict.fromkeys(record.label for record in records))
    options = {name: None for record in records for name in record.task.options if name not in FIELDS}
    values: dict[str, list[AxisValue]] = {}
    for axis in [*(name for name in FIELDS if name not in _IN_NAMES), *options]:
        found = ordered(value for record in records if (value := value_of(record, axis)) is not None)
        if len(found) > 1:
            values[axis] = found
    if len(names) > 1:
        values[BACKEND] = ordered(labels if len(labels) == len(names) else names)
    return values


def _nothing_along(groups: Sequence[RunGroup], axes: tuple[str, ...]) -> str:
    """Why no two runs are equal apart from their values of these axes, and what would be right."""
    by = ",".join(axes)
    values = varying(groups)
    if not set(axes) & set(values):
        records = [group.configurations[0].runs[0].record for group in groups]
        found = {str(value_of(record, axes[0])) for record in records}
        only = f"all have {axes[0]} {found.pop()}" if len(found) == 1 else "no two of one task differ in it"
        return f"--by {by}: there is nothing to compare, {only}."
    others = [axis for axis in values if axis not in axes and axis != BACKEND]
    also = ",".join([*axes, *others])
    return (
        f"--by {by}: runs that differ in {' and '.join(axes)} also differ in {', '.join(others) or BACKEND}. "
        + (f"Compare every combination: --by {also}" if others else "Select one backend: backend=NAME")
    )
