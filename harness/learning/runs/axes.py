"""Axes: the options of a task and the fields of a record by whose values runs are compared."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from harness.core.documents.numbers import counted
from harness.core.plugins.options import Value
from harness.core.reference.optimizers import titles
from harness.core.runs.fields import FIELDS, AxisValue, text_on_axis
from harness.core.runs.record import Record
from harness.core.runs.words import evaluation_text
from harness.errors import UsageError, unknown_name
from harness.learning.runs.conditions import Conditions

#: Axes that change how a training is executed, so that its speed is compared. All others change the training.
_SAME_TRAINING = {"mode", "version", "device", "precision", "threads"}
#: Those of them that nearly keep the rounding, so that first losses must agree.
_SAME_LOSSES = _SAME_TRAINING - {"precision"}
#: Fields that cannot be compared by, and why.
_REFUSED = {
    "seed": "seeds are repetitions; comparisons are made over them",
    "task": "results of different tasks have different scores; select one with task=NAME",
    "dataset": "scores on different data do not compare; select one with dataset=NAME",
    "machine": "times of different machines do not compare",
    "host": "times of different machines do not compare",
    "status": "only runs that succeeded are compared",
    "since": "runs of any day compare if their conditions are equal",
}
#: The axis whose configurations are compared under equal settings; it is never combined with others.
BACKEND = "backend"
#: The axis of the models of the user's own, in whose name their arguments are.
MODEL = "model"


def parse_axes(text: str, records: Iterable[Record]) -> tuple[str, ...]:
    """Parse the axes in a text such as ``optimizer`` or ``optimizer,learning_rate``."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    options = {name for record in records for name in record.task.options}
    for name in names:
        if name in _REFUSED and name not in options:
            raise UsageError(f"--by {name}: {_REFUSED[name]}.")
        if name not in FIELDS and name not in options:
            raise unknown_name("field or option", name, [*FIELDS, *options])
    if BACKEND in names and len(names) > 1:
        raise UsageError(
            f"--by {text}: backends are compared under equal settings; give --by backend, or leave it out."
        )
    return names


def is_other_training(axes: Sequence[str]) -> bool:
    """Check whether the values of these axes make other trainings, whose quality is the question."""
    return not set(axes) <= _SAME_TRAINING


def has_equal_losses(axes: Sequence[str]) -> bool:
    """Check whether the first losses must be equal whatever the values of these axes."""
    return set(axes) <= _SAME_LOSSES


def ordered(values: Iterable[AxisValue]) -> list[AxisValue]:
    """Sort the values without duplicates: numbers ascending, then texts, then None."""
    distinct = {(type(value) is bool, value): value for value in values}.values()
    return sorted(distinct, key=order)


def order(value: AxisValue) -> tuple[int, float, str]:
    """Return the sort key of a value: see :func:`ordered`."""
    if value is None:
        return 2, 0.0, ""
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")


# Titles of groups of runs: what varies within a group, and what distinguishes it from others of its task.

_Key = TypeVar("_Key", bound=Hashable)


#: The usual spelling of optimizers; gd is SGD on all samples at once.
_OPTIMIZERS = titles() | {"gd": "GD"}
#: A title names at most this many values; beyond it states their number.
_MOST_NAMED = 6


class Distinction(NamedTuple):
    """An option or a condition that is not the same in all groups of a family, and how a title states it."""

    name: str
    text: str


class Traits(NamedTuple):
    """A group: its task and data as ``family``, its options, and ``labels``, empty where they are usual."""

    family: str
    options: Mapping[str, Value]
    labels: Mapping[str, str]


def traits(conditions: Conditions, record: Record) -> Traits:
    """Return what the names of task and data set do not state; ``record`` has these conditions."""
    labels = {
        "version": f"task version {conditions.version}",
        "fingerprint": f"data {(conditions.fingerprint or 'unknown')[:8]}",
        "batch": f"batch size {record.batch_text}",
        "precision": conditions.precision,
        "device": conditions.device or "unknown device",
        "threads": counted(conditions.threads, "thread"),
        "machine": conditions.machine,
        "host": f"host {conditions.host[:4]}" if conditions.host else "unknown host",
        "evaluation": f"scores: {evaluation_text(conditions.evaluation)}",
        "certified": "" if conditions.certified else "not certified",
        "variables": conditions.variables,
    }
    return Traits(f"{conditions.task} on {conditions.dataset}", record.task.options, labels)


def distinctions(groups: Mapping[_Key, Traits]) -> dict[_Key, tuple[Distinction, ...]]:
    """Find the options of each group that are not the commonest of its family, and labels not all share."""
    options: dict[tuple[str, str], Counter[Value]] = defaultdict(Counter)
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for traits in groups.values():
        for name, value in traits.options.items():
            options[traits.family, name][value] += 1
        for name, label in traits.labels.items():
            labels[traits.family, name].add(label)
    return {
        key: (
            *(
                Distinction(name, f"{name}={value}")
                for name, value in traits.options.items()
                if _commonest(options[traits.family, name]) != value
            ),
            *(
                Distinction(name, label)
                for name, label in traits.labels.items()
                if label and len(labels[traits.family, name]) > 1
            ),
        )
        for key, traits in groups.items()
    }


def _commonest(counts: Counter[Value]) -> Value | None:
    """Return the value that more groups have than any other; None where two are equally common."""
    (value, count), *others = counts.most_common(2)
    return None if others and others[0][1] == count else value


def title_of_values(axes: Sequence[str], values: Sequence[tuple[AxisValue, ...]]) -> str:
    """Name what varies: ``Adam, SGD``, ``learning_rate 0.01, 0.1``, ``optimizer and learning_rate``."""
    if len(axes) > 1:
        *first, last = axes
        return f"{', '.join(first)} and {last}"
    (axis,) = axes
    distinct = ordered(value for (value,) in values)
    if len(distinct) > _MOST_NAMED:
        return f"{axis} ({len(distinct)} values)"
    if axis == "optimizer":
        return ", ".join(_OPTIMIZERS.get(str(value), str(value)) for value in distinct)
    return f"{axis} {', '.join(text_on_axis(axis, value) for value in distinct)}"


def name_of_values(axes: Sequence[str], values: Sequence[AxisValue], *, plain: frozenset[str]) -> str:
    """Name a configuration: ``adam``, ``adam learning_rate=0.1``; ``plain`` axes are not named."""
    return " ".join(
        text_on_axis(axis, value) if axis in plain else f"{axis}={text_on_axis(axis, value)}"
        for axis, value in zip(axes, values, strict=True)
    )


def plain_axes(axes: Sequence[str], values: Sequence[tuple[AxisValue, ...]]) -> frozenset[str]:
    """Return the axes whose values are names that need no explanation: texts, and none of them ``none``."""
    return frozenset(
        axis
        for axis, on_axis in zip(axes, zip(*values, strict=True), strict=True)
        if all(isinstance(value, str) and value not in {"", "none"} for value in on_axis)
    )
