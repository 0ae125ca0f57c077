"""Groups of rows to compare: those under equal conditions, or those that differ along axes alone."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.core.documents.numbers import counted
from harness.core.runs.fields import FIELDS, AxisValue, value_of
from harness.core.runs.own_models import arguments, own_model
from harness.core.runs.record import Record
from harness.core.training.measures import Measure
from harness.errors import UsageError, unknown_name
from harness.learning.runs.axes import (
    BACKEND,
    MODEL,
    Distinction,
    Traits,
    distinctions,
    is_other_training,
    name_of_values,
    order,
    ordered,
    plain_axes,
    title_of_values,
    traits,
)
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.rows import ConfigurationRuns, LeftOut

_BATCH_SIZE = "batch_size"
#: Conditions that an axis covers, or that follow from one; runs that differ in another are never compared.
_ON_AXES = ("description", "epochs", "max_steps", "precision", "device", "threads", "certified")


@dataclass(frozen=True, slots=True)
class RunGroup:
    """The configurations that ran under equal conditions, apart from the ``axes`` along which they differ.

    ``distinctions`` are what sets these conditions apart from others of the same task and data. Along axes
    ``conditions`` are those of the first configuration.
    """

    distinctions: tuple[Distinction, ...]
    configurations: tuple[ConfigurationRuns, ...]
    axes: tuple[str, ...] = ()
    label: str = ""
    """What the user calls the task."""

    @property
    def conditions(self) -> Conditions:
        """The conditions of the first configuration."""
        return self.configurations[0].conditions

    @property
    def record(self) -> Record:
        """The first record, for what all runs have in common."""
        return self.configurations[0].record

    @property
    def records(self) -> list[Record]:
        """The records of all runs."""
        return [run.record for configuration in self.configurations for run in configuration.runs]

    @property
    def measure(self) -> Measure:
        """The measure of quality."""
        return self.configurations[0].measure

    @property
    def size(self) -> tuple[int, int]:
        """The number of configurations, then of runs: groups are sorted by it."""
        return len(self.configurations), len(self.records)

    @property
    def is_of_settings(self) -> bool:
        """True if the configurations are trained differently, so that quality comes before speed."""
        return is_other_training(self.axes)

    @property
    def comparable(self) -> bool:
        """True if all work is certified; for settings of one backend, if no certificate failed.

        So are the modes of a backend that train a model which is written for it alone.
        """
        certificates = [record.certificate for record in self.records]
        if self.is_of_settings:
            return all(each is None or each.certified or not each.possible for each in certificates)
        known = [each for each in certificates if each is not None]
        alone = all(not each.possible for each in known) and len({*map(_backend, self.records)}) == 1
        return len(known) == len(certificates) and (alone or all(each.certified for each in known))

    @property
    def title(self) -> str:
        """``cnn on digits, 10 epochs``, with its distinctions; along axes ``Adam and SGD on cnn: …``."""
        conditions = self.conditions
        steps = f", at most {conditions.max_steps} steps" if conditions.max_steps else ""
        epochs = f"{counted(conditions.epochs, 'epoch')}{steps}"
        texts = [distinction.text for distinction in self.distinctions]
        if not self.axes:
            return ", ".join([f"{self.label or conditions.task} on {conditions.dataset}", epochs, *texts])
        values = [configuration.values for configuration in self.configurations]
        amount = [] if {"epochs", "max_steps"} & set(self.axes) else [epochs]
        backend = self.record.configuration.label if "mode" not in self.axes else ""
        rest = ", ".join(filter(None, [conditions.dataset, *amount, backend, *texts]))
        of_task = "" if MODEL in self.axes else f" on {self.label or conditions.task}"
        return f"{title_of_values(self.axes, values)}{of_task}: {rest}"


def _backend(record: Record) -> str:
    return record.configuration.backend


def grouped(rows: Iterable[ConfigurationRuns]) -> list[RunGroup]:
    """Group the rows by their conditions; the largest groups first."""
    members: dict[Conditions, list[ConfigurationRuns]] = defaultdict(list)
    for row in rows:
        members[row.conditions].append(row)
    described = {conditions: traits(conditions, each[0].record) for conditions, each in members.items()}
    apart = distinctions(described)
    groups = [RunGroup(apart[conditions], _named(each)) for conditions, each in members.items()]
    return sorted(groups, key=lambda group: group.size, reverse=True)


def _named(rows: Sequence[ConfigurationRuns]) -> tuple[ConfigurationRuns, ...]:
    """Sort the rows of a group by name, with the version in the name where the group holds several."""
    versions_of = Counter(row.identity[0] for row in rows)
    return tuple(
        dataclasses.replace(row, name=f"{row.name} ({row.identity[1] or 'version unknown'})")
        if versions_of[row.name] > 1
        else row
        for row in sorted(rows, key=lambda row: row.identity)
    )


def relabelled(groups: Iterable[RunGroup], labels: Mapping[str, str]) -> list[RunGroup]:
    """Return the groups with the user's names for configurations and tasks.

    A label of ``net`` is one of ``net width=64`` and of ``net:eager``, too, whose rest stays.
    """
    before = list(groups)
    names = [each.name for group in before for each in group.configurations]
    tasks = [group.conditions.task for group in before]
    for label in labels:
        if not any(_is_called(name, label) for name in (*names, *tasks)):
            raise unknown_name("configuration", label, {*names, *tasks})
    return [_relabelled(group, labels) for group in before]


def _relabelled(group: RunGroup, labels: Mapping[str, str]) -> RunGroup:
    names = [_labelled(each.name, labels) for each in group.configurations]
    configurations = tuple(
        dataclasses.replace(each, name=name) for each, name in zip(group.configurations, names, strict=True)
    )
    of_name = Counter(each.name for each in configurations)
    if twice := [name for name, count in of_name.items() if count > 1]:
        name = twice[0]
        raise UsageError(f"--label calls {of_name[name]} configurations {name!r}; give each its own name")
    return dataclasses.replace(
        group, configurations=configurations, label=labels.get(group.conditions.task, "")
    )


def _labelled(name: str, labels: Mapping[str, str]) -> str:
    """Replace the longest beginning of a name that has a label."""
    known = max((label for label in labels if _is_called(name, label)), key=len, default="")
    return labels[known] + name[len(known) :] if known else name


def _is_called(name: str, label: str) -> bool:
    return f"{name} ".startswith((f"{label} ", f"{label}:"))


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


def along(groups: Iterable[RunGroup], axes: tuple[str, ...]) -> Arranged:
    """Group the rows of ordinary groups along axes; the largest groups first.

    The backend stays equal. Runs on full batches join every group that is equal apart from the batch size.
    """
    members: dict[Hashable, dict[AxisValue, list[ConfigurationRuns]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(groups):
        batch_size = None if _BATCH_SIZE in axes else value_of(row.record, _BATCH_SIZE)
        members[_all_else(row, axes)][batch_size].append(row)
    superseded: Counter[tuple[str, str]] = Counter()
    combined = []
    for in_batches in members.values():
        whole = in_batches.pop(None, [])
        joined = [[*each, *whole] for each in in_batches.values()] or [whole]
        combined += [_by_values(each, axes, superseded) for each in joined]
    apart = distinctions({number: _traits(rows[0], axes) for number, rows in enumerate(combined)})
    found = [RunGroup(apart[number], rows, axes) for number, rows in enumerate(combined)]
    left_out = [LeftOut(*name, "superseded", "", runs) for name, runs in superseded.items()]
    return Arranged(sorted(found, key=lambda group: group.size, reverse=True), left_out, [])


def _rows(groups: Iterable[RunGroup]) -> list[ConfigurationRuns]:
    return [row for group in groups for row in group.configurations]


def _all_else(row: ConfigurationRuns, axes: Sequence[str]) -> Hashable:
    """Return what is equal within a group besides the batch size."""
    record = row.record
    options = {name: value for name, value in record.task.options.items() if name not in FIELDS}
    columns = {name: value(record) for name, value in FIELDS.items()} | dict(sorted(options.items()))
    apart = {*axes, _BATCH_SIZE, MODEL}  # a model's name has its arguments, which are options
    if MODEL in axes:
        apart |= {*arguments(record)}
    rest = tuple((name, value) for name, value in columns.items() if name not in apart)
    description = None if is_other_training(axes) else record.task.sha256
    return _shared(row.conditions, own=MODEL in axes), description, rest


def _shared(conditions: Conditions, *, own: bool) -> tuple[object, ...]:
    """Return the conditions that runs share along any axes; ``own``: the axis of the user's own models."""
    return conditions.apart_from(*_ON_AXES, *(("task", "version") if own else ()))


def _by_values(
    rows: Sequence[ConfigurationRuns], axes: tuple[str, ...], superseded: Counter[tuple[str, str]]
) -> tuple[ConfigurationRuns, ...]:
    """Return one row for each combination of values: the certified or else the newest one."""
    by_values: dict[tuple[AxisValue, ...], ConfigurationRuns] = {}
    for row in sorted(rows, key=lambda row: (row.conditions.certified, row.runs[-1].record.started_at)):
        values = tuple(value_of(row.record, axis) for axis in axes)
        if earlier := by_values.get(values):
            superseded[row.conditions.task, earlier.name] += len(earlier.runs)
        by_values[values] = row
    plain = plain_axes(axes, list(by_values))
    return tuple(
        dataclasses.replace(row, name=name_of_values(axes, values, plain=plain), values=values)
        for values, row in sorted(by_values.items(), key=lambda item: tuple(map(order, item[0])))
    )


def _traits(row: ConfigurationRuns, axes: tuple[str, ...]) -> Traits:
    """Return the traits of the row that are not along the axes; certificates may differ."""
    own = traits(row.conditions, row.record)
    hidden = {*axes, "certified", *({"batch"} if _BATCH_SIZE in axes else ())}
    return Traits(
        own.family,
        {name: value for name, value in own.options.items() if name not in hidden},
        {name: label for name, label in own.labels.items() if name not in hidden},
    )


#: Parts of a configuration's name.
_IN_NAMES = {BACKEND, "mode", "version"}


def arranged(groups: Iterable[RunGroup]) -> Arranged:
    """Arrange the groups, those of a task along the one axis that varies there.

    Where the backend varies, or several axes do, the ordinary groups remain.
    """
    families: dict[Hashable, list[RunGroup]] = defaultdict(list)
    for group in groups:
        own = own_model(group.record) is not None
        families[own, _shared(group.conditions, own=own)].append(group)
    result = Arranged([], [], [])
    for family in families.values():
        values = varying(family)
        axes = tuple(values)
        if len(axes) == 1 and axes != (BACKEND,):
            compared = along(family, axes)
            if any(len(group.configurations) > 1 for group in compared.groups):
                result.groups.extend(compared.groups)
                result.left_out.extend(compared.left_out)
                continue
        result.groups.extend(family)
        variation = Variation(family[0].conditions.task, family[0].conditions.dataset, values)
        if len(axes) > 1 and variation not in result.open:  # it may be the same on two machines
            result.open.append(variation)
    result.groups.sort(key=lambda group: group.size, reverse=True)
    return result


def arranged_along(groups: Sequence[RunGroup], axes: tuple[str, ...]) -> Arranged:
    """Arrange the groups along these axes; only those that hold several values of them remain."""
    every = along(groups, axes)
    compared = [group for group in every.groups if len(group.configurations) > 1]
    if not compared:
        raise UsageError(_nothing_along(groups, axes))
    return every._replace(groups=compared)


def varying(groups: Sequence[RunGroup]) -> dict[str, list[AxisValue]]:
    """Return the axes along which the runs differ, with their values; backends with mode and version."""
    rows = _rows(groups)
    names = list(dict.fromkeys(", ".join(filter(None, row.identity)) for row in rows))
    labels = list(dict.fromkeys(row.identity[0] for row in rows))
    options = {name: None for row in rows for name in row.record.task.options if name not in FIELDS}
    values: dict[str, list[AxisValue]] = {}
    for axis in [*(name for name in FIELDS if name not in _IN_NAMES), *options]:
        distinct = ordered(value for row in rows if (value := value_of(row.record, axis)) is not None)
        if len(distinct) > 1:
            values[axis] = distinct
    if len({row.record.task.name for row in rows}) > 1 and MODEL in values:
        # Each model is written for one backend. Models with all their arguments are the values of the axis.
        own = {name for row in rows for name in arguments(row.record)}
        return {axis: each for axis, each in values.items() if axis not in own}
    values.pop(MODEL, None)
    if len(names) > 1:
        values[BACKEND] = ordered(labels if len(labels) == len(names) else names)
    return values


def _nothing_along(groups: Sequence[RunGroup], axes: tuple[str, ...]) -> str:
    """Explain why no two runs differ in these axes alone, and what to select instead."""
    by = ",".join(axes)
    values = varying(groups)
    if not set(axes) & set(values):
        same = {str(value_of(group.record, axes[0])) for group in groups}
        only = f"all have {axes[0]} {same.pop()}" if len(same) == 1 else "no two of one task differ in it"
        return f"--by {by}: there is nothing to compare, {only}."
    others = [axis for axis in values if axis not in axes and axis != BACKEND]
    also = ",".join([*axes, *others])
    return (
        f"--by {by}: runs that differ in {' and '.join(axes)} also differ in {', '.join(others) or BACKEND}. "
        + (f"Compare every combination: --by {also}" if others else "Select one backend: backend=NAME")
    )
