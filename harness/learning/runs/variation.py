"""Which axes vary among runs, and the axes along which a selection of runs is compared."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.core.runs.fields import FIELDS, AxisValue, value_of
from harness.core.runs.record import Record
from harness.errors import UsageError
from harness.learning.runs.axes import (
    BACKEND,
    Traits,
    distinctions,
    is_other_training,
    name_of_values,
    order,
    ordered,
    plain_axes,
)
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.grouping import (
    ConfigurationRuns,
    GroupedRuns,
    LeftOut,
    RunGroup,
    size_of_group,
    traits,
)

_BATCH_SIZE = "batch_size"


def surroundings_of(record: Record) -> Conditions:
    """Return the conditions that no axis covers: runs that differ in them are never compared."""
    return msgspec.structs.replace(
        Conditions.of(record),
        description="",
        epochs=0,
        max_steps=None,
        precision="",
        device=None,
        threads=0,
        certified=False,
    )


def regrouped(groups: Iterable[RunGroup], axes: tuple[str, ...]) -> GroupedRuns:
    """Group the runs of ordinary groups along axes; the largest groups first.

    The backend stays equal. Runs on full batches join every group that is equal apart from the batch size.
    """
    members: dict[Hashable, dict[AxisValue, list[ConfigurationRuns]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        for configuration in group.configurations:
            record = configuration.runs[0].record
            batch_size = None if _BATCH_SIZE in axes else value_of(record, _BATCH_SIZE)
            members[_all_else(record, axes)][batch_size].append(configuration)
    superseded: Counter[tuple[str, str]] = Counter()
    combined = []
    for in_batches in members.values():
        whole = in_batches.pop(None, [])
        joined = [[*each, *whole] for each in in_batches.values()] or [whole]
        combined += [_configurations(each, axes, superseded) for each in joined]
    apart = distinctions({number: _traits(group[0], axes) for number, group in enumerate(combined)})
    regrouped_runs = [
        RunGroup(Conditions.of(group[0].runs[0].record), apart[number], group, axes)
        for number, group in enumerate(combined)
    ]
    left_out = [LeftOut(task, label, "superseded", "", runs) for (task, label), runs in superseded.items()]
    return GroupedRuns(sorted(regrouped_runs, key=size_of_group, reverse=True), left_out)


def _all_else(record: Record, axes: Sequence[str]) -> Hashable:
    """Return what is equal within a group besides the batch size."""
    fields = [(name, value(record)) for name, value in FIELDS.items() if name not in (*axes, _BATCH_SIZE)]
    options = [
        (name, value)
        for name, value in sorted(record.task.options.items())
        if name not in axes and name not in FIELDS
    ]
    description = None if is_other_training(axes) else record.task.sha256
    return surroundings_of(record), description, *fields, *options


def _configurations(
    members: Sequence[ConfigurationRuns], axes: tuple[str, ...], superseded: Counter[tuple[str, str]]
) -> tuple[ConfigurationRuns, ...]:
    """Return one configuration for each combination of values: the certified or else the newest one."""
    by_values: dict[tuple[AxisValue, ...], ConfigurationRuns] = {}
    for member in sorted(members, key=_preference):
        record = member.runs[0].record
        values = tuple(value_of(record, axis) for axis in axes)
        if earlier := by_values.get(values):
            superseded[record.task.name, earlier.name] += len(earlier.runs)
        by_values[values] = member
    plain = plain_axes(axes, list(by_values))
    ordered = sorted(by_values.items(), key=lambda item: tuple(map(order, item[0])))
    return tuple(
        ConfigurationRuns(name_of_values(axes, values, plain=plain), member.runs, values)
        for values, member in ordered
    )


def _preference(configuration: ConfigurationRuns) -> tuple[bool, str]:
    record = configuration.runs[-1].record
    return bool(record.certificate and record.certificate.certified), record.started_at


def _traits(configuration: ConfigurationRuns, axes: tuple[str, ...]) -> Traits:
    """Return the traits of the ordinary group that are not along the axes; certificates may differ."""
    record = configuration.runs[0].record
    own = traits(Conditions.of(record), record)
    hidden = {*axes, "certified", *({"batch"} if "batch_size" in axes else ())}
    return Traits(
        own.family,
        {name: value for name, value in own.options.items() if name not in hidden},
        {name: label for name, label in own.labels.items() if name not in hidden},
    )


#: Parts of a configuration's name.
_IN_NAMES = {BACKEND, "mode", "version"}


class Variation(NamedTuple):
    """Runs of a task that differ along several axes; ``values`` are those of each, ascending."""

    task: str
    dataset: str
    values: Mapping[str, Sequence[AxisValue]]


class Arranged(NamedTuple):
    """Groups to be compared, runs that were superseded, and variations without a chosen axis."""

    groups: list[RunGroup]
    left_out: list[LeftOut]
    open: list[Variation]


def arranged(groups: Iterable[RunGroup]) -> Arranged:
    """Arrange the groups, those of a task along the one axis that varies there.

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
    """Arrange the groups along these axes; only those that hold several values of them remain.

    Raises:
        UsageError: there is none; says why.
    """
    along = regrouped(groups, axes)
    compared = [group for group in along.groups if len(group.configurations) > 1]
    if not compared:
        raise UsageError(_nothing_along(groups, axes))
    return Arranged(compared, along.left_out, [])


def varying(groups: Sequence[RunGroup]) -> dict[str, list[AxisValue]]:
    """Return the axes along which the runs differ, with their values; backends with mode and version."""
    configurations = [configuration for group in groups for configuration in group.configurations]
    names = list(dict.fromkeys(", ".join(filter(None, each.identity)) for each in configurations))
    records = [configuration.runs[0].record for configuration in configurations]
    labels = list(dict.fromkeys(record.configuration.label for record in records))
    options = {name: None for record in records for name in record.task.options if name not in FIELDS}
    values: dict[str, list[AxisValue]] = {}
    for axis in [*(name for name in FIELDS if name not in _IN_NAMES), *options]:
        distinct = ordered(value for record in records if (value := value_of(record, axis)) is not None)
        if len(distinct) > 1:
            values[axis] = distinct
    if len(names) > 1:
        values[BACKEND] = ordered(labels if len(labels) == len(names) else names)
    return values


def _nothing_along(groups: Sequence[RunGroup], axes: tuple[str, ...]) -> str:
    """Explain why no two runs differ in these axes alone, and what to select instead."""
    by = ",".join(axes)
    values = varying(groups)
    if not set(axes) & set(values):
        records = [group.configurations[0].runs[0].record for group in groups]
        same = {str(value_of(record, axes[0])) for record in records}
        only = f"all have {axes[0]} {same.pop()}" if len(same) == 1 else "no two of one task differ in it"
        return f"--by {by}: there is nothing to compare, {only}."
    others = [axis for axis in values if axis not in axes and axis != BACKEND]
    also = ",".join([*axes, *others])
    return (
        f"--by {by}: runs that differ in {' and '.join(axes)} also differ in {', '.join(others) or BACKEND}. "
        + (f"Compare every combination: --by {also}" if others else "Select one backend: backend=NAME")
    )
