"""What tells settings of one task and data set apart, for their titles: only what is not the same in all."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

from harness.plugins.options import Value

_Key = TypeVar("_Key", bound=Hashable)


class Described(NamedTuple):
    """A setting: its task and data as ``group``, its options, and ``words``, empty where they are usual."""

    group: str
    options: Mapping[str, Value]
    words: Mapping[str, str]


def tell_apart(settings: Mapping[_Key, Described]) -> dict[_Key, tuple[str, ...]]:
    """For each setting the options that are not the commonest of its group, and the words not all share."""
    options: dict[tuple[str, str], Counter[Value]] = defaultdict(Counter)
    words: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in settings.values():
        for name, value in one.options.items():
            options[one.group, name][value] += 1
        for name, text in one.words.items():
            words[one.group, name].add(text)
    return {
        key: (
            *(
                f"{name}={value}"
                for name, value in one.options.items()
                if _common(options[one.group, name]) != value
            ),
            *(text for name, text in one.words.items() if text and len(words[one.group, name]) > 1),
        )
        for key, one in settings.items()
    }


def _common(seen: Counter[Value]) -> Value | None:
    """The value that more settings have than have any other; None where two are as common."""
    (value, count), *others = seen.most_common(2)
    return None if others and others[0][1] == count else value


def plain(name: str) -> str:
    """A name without the mark that sets names apart in sentences."""
    return name.replace("`", "'")
