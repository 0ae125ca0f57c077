"""Titles of groups of runs: what distinguishes groups of one task and data set, and nothing else."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

from harness.plugins.options import Value

_Key = TypeVar("_Key", bound=Hashable)


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
