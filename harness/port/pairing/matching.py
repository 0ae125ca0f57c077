"""Pairs of parameters of both sides, matched by order of use, kind of call and shape.

Where several uses of one shape stand side by side, equal values decide, then words in their names. Where
neither decides, the comparison tries each order.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from harness.core.models.traced import Use, uses
from harness.port.pairing.packed import expanded, likened_kind, main_shape
from harness.port.pairing.strays import free_pairs, unpaired_arrays
from harness.tracing.calls import Stored, Trace

#: Scores of an alignment: uses of one kind and shape, of one kind alone, and a use without partner.
_SAME, _KIND_ONLY, _GAP = 4.0, -1.0, -1.5


class PairedUse(NamedTuple):
    """A use of each side."""

    a: Use
    b: Use


class PairedArray(NamedTuple):
    """The places of an array in both sides; its role and uses, unless only own arithmetic uses the array."""

    one: Stored
    other: Stored
    role: str = ""
    a: Use | None = None
    b: Use | None = None


class Matching(msgspec.Struct):
    """Pairs of uses, and the parameters of each side that have no counterpart.

    ``free`` are pairs of arrays of which at least one enters a model's own arithmetic. ``siblings``
    are the places of pairs that only the order of use has chosen.
    """

    pairs: list[PairedUse]
    free: list[tuple[Stored, Stored]]
    unmatched_a: list[str]
    unmatched_b: list[str]
    siblings: list[tuple[int, ...]] = []

    def arrays(self) -> Iterator["PairedArray"]:
        """Yield all pairs of arrays: those of paired uses by their roles, then those without a use."""
        for a, b in self.pairs:
            yield from (
                PairedArray(stored, b.parameters[role], role, a, b)
                for role, stored in a.parameters.items()
                if role in b.parameters
            )
        yield from (PairedArray(one, other) for one, other in self.free)

    def mirrored(self) -> "Matching":
        """Return the pairs with A and B exchanged."""
        return Matching([PairedUse(b, a) for a, b in self.pairs], [(b, a) for a, b in self.free], [], [])

    def reordered(self, group: Sequence[int], order: Sequence[int]) -> "Matching":
        """Return the matching with B's uses of the pairs ``group`` in another ``order``."""
        pairs = list(self.pairs)
        for place, source in zip(group, order, strict=True):
            pairs[place] = PairedUse(self.pairs[place].a, self.pairs[source].b)
        return msgspec.structs.replace(self, pairs=pairs)


def match(
    trace_a: Trace, trace_b: Trace, given: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Matching:
    """Pair the uses of parameters; ``given`` are names of A with those of B that belong to them."""
    uses_a, uses_b = uses(trace_a), uses(trace_b)
    uses_a, uses_b = expanded(uses_a, uses_b, trace_a), expanded(uses_b, uses_a, trace_b)

    def is_given(a: Use, b: Use) -> bool:
        wanted = {other for stored in a.parameters.values() for other in given.get(stored.name, ())}
        return not wanted.isdisjoint(stored.name for stored in b.parameters.values())

    def rest(pairs: Sequence[PairedUse]) -> tuple[list[Use], list[Use]]:
        paired_a, paired_b = [pair.a for pair in pairs], [pair.b for pair in pairs]
        return [use for use in uses_a if use not in paired_a], [use for use in uses_b if use not in paired_b]

    fixed = _first_fits(uses_a, uses_b, is_given)
    pairs = fixed + _aligned(*rest(fixed))
    # Uses that are alike but stand at another place.
    pairs += _first_fits(*rest(pairs), lambda a, b: _likeness(a, b) == _SAME)
    arrays_a, arrays_b = trace_a.stored(), trace_b.stored()
    pairs, siblings = _among_siblings(pairs, len(fixed), arrays_a, arrays_b)
    strays_a = unpaired_arrays(trace_a, uses_a, [pair.a for pair in pairs])
    strays_b = unpaired_arrays(trace_b, uses_b, [pair.b for pair in pairs])
    free = free_pairs(strays_a, strays_b, given, arrays_a, arrays_b)
    known_a, known_b = (
        {stored.name for pair in pairs for stored in pair[side].parameters.values()}
        | {each[side].name for each in free}
        for side in (0, 1)
    )
    pairs_in_order = sorted(pairs, key=lambda pair: pair.b.place)
    return Matching(
        pairs_in_order,
        free,
        [name for name in arrays_a if name not in known_a],
        [name for name in arrays_b if name not in known_b],
        siblings=[tuple(pairs_in_order.index(pairs[place]) for place in group) for group in siblings],
    )


def _among_siblings(
    pairs: Sequence[PairedUse],
    fixed: int,
    arrays_a: Mapping[str, np.ndarray],
    arrays_b: Mapping[str, np.ndarray],
) -> tuple[list[PairedUse], list[list[int]]]:
    """Pair uses of one shape and depth by values or words; also return the groups that have neither."""
    groups: dict[tuple[object, ...], list[int]] = {}
    others_a, others_b = ([pair[side].place for pair in pairs] for side in (0, 1))
    for place, (a, b) in enumerate(pairs):
        of_one_call = (others_a.count(a.place), others_b.count(b.place)) != (1, 1)  # roles tell them apart
        if place >= fixed and not of_one_call and a.depth == b.depth and _likeness(a, b) == _SAME:
            groups.setdefault((a.depth, likened_kind(a), main_shape(a)), []).append(place)
    result, undecided = list(pairs), []
    for group in groups.values():
        uses_a, uses_b = ([pairs[place][side] for place in group] for side in (0, 1))
        marks = [
            [_values(use, arrays) for use in own] for own, arrays in ((uses_a, arrays_a), (uses_b, arrays_b))
        ]
        order = _same_marks(*marks) or _same_marks(_words(uses_a), _words(uses_b))
        if order:
            for place, source in zip(group, order, strict=True):
                result[place] = PairedUse(pairs[place].a, pairs[group[source]].b)
        elif len(group) > 1:
            undecided.append(group)
    return result, undecided


def _same_marks(marks_a: Sequence[object], marks_b: Sequence[object]) -> list[int]:
    """Return, for each mark of A, the place of B's equal mark; empty unless the marks tell all apart."""
    if len({*marks_a}) < len(marks_a) or sorted(map(str, marks_a)) != sorted(map(str, marks_b)):
        return []
    return [marks_b.index(mark) for mark in marks_a]


def _values(use: Use, arrays: Mapping[str, np.ndarray]) -> object:
    """Return rounded sums of the arrays of ``use`` other than biases, which copied values share."""
    roles = sorted(role for role in use.parameters if "bias" not in role)
    held = [use.parameters[role].canonical(arrays[use.parameters[role].name]) for role in roles]
    return tuple(f"{float(np.abs(array).sum()):.5e} {float((array**2).sum()):.5e}" for array in held)


def _words(use_of_group: Sequence[Use]) -> list[object]:
    """List the words in the name of each use that the uses do not all share."""
    names = [
        " ".join((use.path, *(stored.name for stored in use.parameters.values()))) for use in use_of_group
    ]
    words = [{*re.findall(r"[a-z]+", name.lower())} for name in names]
    shared = set.intersection(*words)
    return [tuple(sorted(each - shared)) for each in words]


def _first_fits(
    uses_a: Sequence[Use], uses_b: Sequence[Use], fits: Callable[[Use, Use], bool]
) -> list[PairedUse]:
    """Pair each use of A with the first unpaired use of B that fits."""
    pairs, rest = [], list(uses_b)
    for a in uses_a:
        b = next((b for b in rest if fits(a, b)), None)
        if b is not None:
            rest.remove(b)
            pairs.append(PairedUse(a, b))
    return pairs


def _likeness(a: Use, b: Use) -> float:
    if main_shape(a) == main_shape(b) and likened_kind(a) == likened_kind(b):
        return _SAME
    return _KIND_ONLY if likened_kind(a) == likened_kind(b) else 2 * _GAP - 1


def _aligned(uses_a: Sequence[Use], uses_b: Sequence[Use]) -> list[PairedUse]:
    """Align two sequences of uses in the best way (Needleman and Wunsch 1970)."""
    rows, columns = len(uses_a), len(uses_b)
    score = np.zeros((rows + 1, columns + 1))
    score[:, 0] = _GAP * np.arange(rows + 1)
    score[0, :] = _GAP * np.arange(columns + 1)
    for row in range(rows):
        for column in range(columns):
            both = score[row, column] + _likeness(uses_a[row], uses_b[column])
            gap = max(score[row, column + 1], score[row + 1, column]) + _GAP
            score[row + 1, column + 1] = max(both, gap)
    pairs = []
    row, column = rows, columns
    while row and column:
        both = score[row - 1, column - 1] + _likeness(uses_a[row - 1], uses_b[column - 1])
        if score[row, column] == both:
            row, column = row - 1, column - 1
            pairs.append(PairedUse(uses_a[row], uses_b[column]))
        elif score[row, column] == score[row - 1, column] + _GAP:
            row -= 1
        else:
            column -= 1
    return pairs[::-1]
