"""Runs grouped along axes: everything is equal within a group except the values of the axes."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import msgspec

from harness.analysis.axes import FIELDS, AxisValue, is_other_training, order, value_of
from harness.analysis.conditions import Conditions
from harness.analysis.grouping import ConfigurationRuns, GroupedRuns, LeftOut, RunGroup, size_of_group, traits
from harness.analysis.titles import Traits, distinctions, name_of_values, plain_axes
from harness.runs.record import Record

_BATCH_SIZE = "batch_size"


def surroundings_of(record: Record) -> Conditions:
    """The conditions that no axis covers: runs that differ in them are never compared."""
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


#: Surroundings, the batch size, and all else that is equal.
_Key = tuple[Conditions, AxisValue, tuple[tuple[str, Hashable], ...]]


def regrouped(groups: Iterable[RunGroup], axes: tuple[str, ...]) -> GroupedRuns:
    """The runs of ordinary groups, grouped along axes; the largest groups first.

    The backend stays equal. Runs on full batches join every group that is equal apart from the batch size.
    """
    members: dict[_Key, list[ConfigurationRuns]] = defaultdict(list)
    for group in groups:
        for configuration in group.configurations:
            members[_key(configuration.runs[0].record, axes)].append(configuration)
    superseded: Counter[tuple[str, str]] = Counter()
    combined = [_configurations(group, axes, superseded) for group in _joined(members)]
    apart = distinctions({number: _traits(group[0], axes) for number, group in enumerate(combined)})
    made = [
        RunGroup(Conditions.of(group[0].runs[0].record), apart[number], group, axes)
        for number, group in enumerate(combined)
    ]
    left_out = [LeftOut(task, label, "superseded", "", runs) for (task, label), runs in superseded.items()]
    return GroupedRuns(sorted(made, key=size_of_group, reverse=True), left_out)


def _key(record: Record, axes: Sequence[str]) -> _Key:
    fields = [(name, value(record)) for name, value in FIELDS.items() if name not in (*axes, _BATCH_SIZE)]
    options = [
        (name, value)
        for name, value in sorted(record.task.options.items())
        if name not in axes and name not in FIELDS
    ]
    description = () if is_other_training(axes) else (("description", record.task.sha256),)
    batch_size = None if _BATCH_SIZE in axes else value_of(record, _BATCH_SIZE)
    return surroundings_of(record), batch_size, (*fields, *options, *description)


def _joined(members: dict[_Key, list[ConfigurationRuns]]) -> list[list[ConfigurationRuns]]:
    """The groups; those on full batches are part of all others that differ in the batch size alone."""
    in_batches: dict[tuple[Conditions, object], list[_Key]] = defaultdict(list)
    for key in members:
        surroundings, batch_size, rest = key
        if batch_size is not None:
            in_batches[surroundings, rest].append(key)
    groups = {key: list(configurations) for key, configurations in members.items()}
    for key, configurations in members.items():
        surroundings, batch_size, rest = key
        if batch_size is None and in_batches[surroundings, rest]:
            for other in in_batches[surroundings, rest]:
                groups[other] += configurations
            del groups[key]
    return list(groups.values())


def _configurations(
    members: Sequence[ConfigurationRuns], axes: tuple[str, ...], superseded: Counter[tuple[str, str]]
) -> tuple[ConfigurationRuns, ...]:
    """One configuration for each combination of values: the certified one, or else the newest, of several."""
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
    """Those of the ordinary group that are not along the axes; certificates may differ within the group."""
    record = configuration.runs[0].record
    own = traits(Conditions.of(record), record)
    hidden = {*axes, "certified", *({"batch"} if "batch_size" in axes else ())}
    return Traits(
        own.family,
        {name: value for name, value in own.options.items() if name not in hidden},
        {name: label for name, label in own.labels.items() if name not in hidden},
    )
