"""Arrays that values or names say to be in another place than the pairs of the comparison.

The comparison gives B the values of A by pairs that make both models equal. A port whose copied weights
are in other places computes something else as it is made.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.port.pairing.matching import Matching, PairedArray
from harness.port.pairing.names import likeness, part_text, words
from harness.port.pairing.relations import is_copy
from harness.port.record import Cause
from harness.tracing.calls import Stored

#: Outputs of models with copied values agree up to the rounding to float32, which grows with depth.
AGREE = 1e-4
#: Arrays of fewer different numbers may be equal by chance.
_LEAST_NUMBERS = 3


class _Made(NamedTuple):
    """A pair with the values that both arrays are made with, in canonical form."""

    pair: PairedArray
    own: np.ndarray
    other: np.ndarray
    norm: float
    is_copied: bool


def misplaced(
    matching: Matching,
    values_a: dict[str, np.ndarray],
    values_b: dict[str, np.ndarray],
    worst: float,
    second: Sequence[str],
    *,
    may_share_seeds: bool,
) -> list[Cause]:
    """Find copied values that contradict ``matching``, as one cause.

    The outputs of the models as made differ by ``worst``. Either B has values of A in another array than the
    paired one, or the sums with ``second`` biases do not fit, as all other pairs have equal values. If both
    sides ``may_share_seeds``, equal values are copies only where names say so, too.
    """
    if worst <= AGREE:
        return []
    pairs = list(_made(matching, values_a, values_b))
    found = []
    for each in pairs:
        holder = None if each.is_copied else _holder(each, pairs, may_share_seeds=may_share_seeds)
        if holder is not None:
            text = f"{part_text(each.pair.other)}, while {part_text(holder)} has its values"
            found.append((part_text(each.pair.one), each.pair.other.name, text))
    summed = {(values_a | values_b)[name].shape for name in second}
    is_sum = pairs and not may_share_seeds
    if not found and is_sum and all(each.is_copied or each.own.shape in summed for each in pairs):
        found = [(name, "", "a bias that is not the sum with it") for name in second]
    return _as_one("copied values", found, worst)


def exchanged_names(matching: Matching, values_b: Mapping[str, np.ndarray]) -> list[Cause]:
    """Find names of A that B has for other arrays of the same size than the paired ones, as one cause."""
    pairs = list(matching.arrays())
    named = {words(each.other.name): each.other.name for each in pairs}
    found = {}
    for one, other in ((each.one.name, each.other.name) for each in pairs):
        same = named.get(words(one), other)
        if same != other and values_b[same].size == values_b[other].size:
            found[one] = (one, other, f"{other}, although B has a {same}, too")
    return _as_one("exchanged names", list(found.values()), None)


def _as_one(kind: str, found: Sequence[tuple[str, str, str]], worst: float | None) -> list[Cause]:
    """Make one cause of places: a name of A, a name of B, and a text; harmless without ``worst``."""
    if not found:
        return []
    (name, other, text), *rest = found
    cause = Cause.at(kind, name, other, name, text, before=worst, harmless=worst is None)
    cause.more = list(dict.fromkeys(name for name, *_ in rest))
    return [cause]


def _made(
    matching: Matching, values_a: Mapping[str, np.ndarray], values_b: Mapping[str, np.ndarray]
) -> Iterator[_Made]:
    """Yield the pairs of arrays whose numbers are not equal by chance."""
    for pair in matching.arrays():
        own, other = (
            stored.canonical(values[stored.name])
            for stored, values in ((pair.one, values_a), (pair.other, values_b))
        )
        if own.size == other.size and len(np.unique(own)) >= _LEAST_NUMBERS:
            other = other.reshape(own.shape)
            is_copied = is_copy(matching.operation(pair.other).applied(own), other)
            yield _Made(pair, own, other, float(np.linalg.norm(other)), is_copied)


def _holder(made: _Made, pairs: Sequence[_Made], *, may_share_seeds: bool) -> Stored | None:
    """Return B's array of another pair that has the values of A's array."""
    name, norm = made.pair.one.name, float(np.linalg.norm(made.own))
    paired = likeness(name, made.pair.other.name)
    for each in pairs:
        may_be = not may_share_seeds or likeness(name, each.pair.other.name) > paired
        alike = made.own.shape == each.other.shape and math.isclose(norm, each.norm, rel_tol=AGREE)
        if may_be and alike and is_copy(made.own, each.other):
            return each.pair.other
    return None
