"""Pairs of parameters that the user names in a file, for parameters that use and shape cannot pair."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.core.documents.files import write_bytes
from harness.core.machine.files import read_file
from harness.errors import UsageError
from harness.port.record import ParameterPair

if TYPE_CHECKING:
    from harness.port.pairing.matching import Matching

#: Names of A with the names of B that belong to each.
NameMap = dict[str, list[str]]


def read_map(path: Path) -> NameMap:
    """Read pairs from a JSON file: ``{"name of A": "name of B"}``, or a list of names of B."""
    try:
        read = msgspec.json.decode(read_file(path), type=dict[str, str | list[str]])
    except OSError as error:
        raise UsageError(f"--map {path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f'--map {path} is no JSON object of names, such as {{"fc.weight": "dense/kernel"}}: {error}'
        ) from error
    return {name: [other] if isinstance(other, str) else other for name, other in read.items()}


def write_map(path: Path, pairs: list[ParameterPair]) -> None:
    """Write ``pairs`` of a comparison as a file for :func:`read_map`."""
    names: NameMap = {}
    for pair in pairs:
        others = names.setdefault(pair.a, [])
        if pair.b not in others:
            others.append(pair.b)
    plain = {name: others[0] if len(others) == 1 else others for name, others in names.items()}
    write_bytes(path, json.dumps(plain, indent=1).encode() + b"\n")


def refuse_unknown(given: NameMap, known_a: set[str], known_b: set[str]) -> None:
    """Refuse names that the models do not have."""
    for name, others in given.items():
        if name not in known_a:
            raise UsageError(f"--map: A has no parameter {name!r}; it has {', '.join(sorted(known_a)[:5])} …")
        for other in others:
            if other not in known_b:
                raise UsageError(
                    f"--map: B has no parameter {other!r}; it has {', '.join(sorted(known_b)[:5])} …"
                )


def words(name: str) -> tuple[str, ...]:
    """Return the words and numbers of a name, however the framework separates them."""
    return tuple(re.findall(r"[a-z]+|\d+", name.lower()))


def likeness(one: str, other: str) -> tuple[bool, int]:
    """Rate how alike two names are: whether they are the same, and the number of shared words."""
    mine, others = words(one), words(other)
    return mine == others, sum(word.isalpha() for word in {*mine} & {*others})


def unused_names(given: Mapping[str, Sequence[str]], matching: "Matching") -> list[str]:
    """List the entries of ``--map`` that no pair of ``matching`` uses, as phrases."""
    paired = {(each.one.name, each.other.name) for each in matching.arrays()}
    unused = [
        (name, other) for name, others in given.items() for other in others if (name, other) not in paired
    ]
    return [
        f"{name} with {other}, which --map gives: their shapes or uses do not fit" for name, other in unused
    ]
