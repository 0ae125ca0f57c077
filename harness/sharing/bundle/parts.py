"""The parts of a record of any kind, decoded or not, with the names of their fields."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_SCALARS = (str, int, float, type(None))


def parts_of(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a record and all parts of it, each with the name of its field.

    The items of a list have the name of the list.
    """
    remaining = [(key, value)]
    while remaining:
        name, part = remaining.pop()
        yield name, part
        if not isinstance(part, _SCALARS):
            remaining += reversed(_inner(part, name))


def _inner(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(name), each) for name, each in value.items()]
    if isinstance(value, list | tuple | set):
        return [(key, each) for each in value]
    return [(name, getattr(value, name)) for name in getattr(value, "__struct_fields__", ())]


def texts_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the texts among the parts of a record."""
    return ((key, part) for key, part in parts_of(value) if isinstance(part, str))


def variables_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the environment variables of a record, from fields such as ``worker_variables``."""
    return variables_among(parts_of(value))


def variables_among(parts: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the environment variables among the ``parts`` of a record."""
    for key, part in parts:
        if not key.endswith("variables"):
            continue
        if isinstance(part, Mapping):
            yield from ((name, each) for name, each in part.items() if isinstance(each, str))
        elif is_pair(part):
            yield part[0], part[1]


def is_pair(value: Any) -> bool:
    """Check that a value is the name and the value of a variable."""
    return isinstance(value, list | tuple) and [type(each) for each in value] == [str, str]
