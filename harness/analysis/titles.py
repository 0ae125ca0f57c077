"""Titles of groups of runs: what varies within a group, and what distinguishes it from others of its task."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from harness.analysis.axes import AxisValue, ordered
from harness.plugins.options import Value
from harness.runs.identity import value_text

_Key = TypeVar("_Key", bound=Hashable)


#: Names of optimizers as people write them.
_OPTIMIZERS = {"adam": "Adam", "gd": "GD", "rmsprop": "RMSprop", "sgd": "SGD"}
#: Values that a title names; of more it states the number.
_MOST_NAMED = 6
#: What a value None means on an axis.
_WITHOUT = {"batch_size": "all", "max_steps": "none"}


class Distinction(NamedTuple):
    """An option or a condition that is not the same in all groups of a family, and how a title states it."""

    name: str
    text: str


class Traits(NamedTuple):
    """A group: its task and data as ``family``, its options, and ``labels``, empty where they are usual."""

    family: str
    options: Mapping[str, Value]
    labels: Mapping[str, str]


def distinctions(groups: Mapping[_Key, Traits]) -> dict[_Key, tuple[Distinction, ...]]:
    """For each group its options that are not the commonest of the family, and labels that not all share."""
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
    """The value that more groups have than any other; None where two are equally common."""
    (value, count), *others = counts.most_common(2)
    return None if others and others[0][1] == count else value


def title_of_values(axes: Sequence[str], values: Sequence[tuple[AxisValue, ...]]) -> str:
    """What varies: ``Adam, RMSprop, SGD``, ``learning_rate 0.01, 0.1``, ``optimizer and learning_rate``."""
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
    """The name of a configuration: ``adam``, ``adam learning_rate=0.1``; ``plain`` axes are not named."""
    return " ".join(
        text_on_axis(axis, value) if axis in plain else f"{axis}={text_on_axis(axis, value)}"
        for axis, value in zip(axes, values, strict=True)
    )


def plain_axes(axes: Sequence[str], values: Sequence[tuple[AxisValue, ...]]) -> frozenset[str]:
    """The axes whose values are names that need no explanation: texts, and none of them ``none``."""
    return frozenset(
        axis
        for axis, on_axis in zip(axes, zip(*values, strict=True), strict=True)
        if all(isinstance(value, str) and value not in {"", "none"} for value in on_axis)
    )


def text_on_axis(axis: str, value: AxisValue) -> str:
    """The value as on the command line; None in words."""
    return _WITHOUT.get(axis, "unknown") if value is None else value_text(value)
