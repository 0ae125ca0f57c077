"""The smallest piece of code to exchange, where a line runs several times: in a loop, or for each head.

One value of B is then not enough: all that a line of B makes is exchanged with what a line of A makes.
With the numbers of A in these places, the values around them are equal again, which bounds the piece.
"""

import collections
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.port.values import ROUNDING, are_equal, difference
from harness.port.walk.corresponding import AxisOrder, Goal
from harness.port.walk.expressions import Budget, Calls, Expression, Slot, forms
from harness.port.walk.segments import Segment, segment_before

#: Pairs of lines that are examined more closely, those first whose values come first.
_MOST_PAIRS = 40


class Narrowed(NamedTuple):
    """Pieces of both sides that differ although their inputs are equal, and A's numbers for values of B."""

    a: Expression
    b: Expression
    given: dict[Slot, np.ndarray]

    @property
    def size(self) -> int:
        """The count of calls."""
        return len(self.a.calls) + len(self.b.calls)


def narrowed(a: Expression, b: Expression, order: AxisOrder) -> Narrowed | None:
    """Find the smallest pieces that make the end of ``b`` right when they are exchanged; None if none do."""
    goal, found = Goal(a, b, order), list[Narrowed]()
    b.budget.renew()
    for values_a, values_b in itertools.islice(_exchangeable(a, b), _MOST_PAIRS * _MOST_PAIRS):
        given = _given(a, b, values_a, values_b)
        if given and goal.is_met(goal.gap(b.computed(given))):
            piece = _piece(a, b, values_a, values_b, given)
            if piece is not None:
                found.append(piece)
        if len(found) >= _MOST_PAIRS or b.budget.is_spent:
            break
    return min(found, key=lambda each: each.size, default=None)


def _exchangeable(a: Expression, b: Expression) -> Iterator[tuple[list[int], list[int]]]:
    """Yield values that a line of each side makes, in order, as many of A as of B."""
    of_a, of_b = _by_line(a), _by_line(b)
    for values_b in of_b:
        yield from ((values_a, values_b) for values_a in of_a if len(values_a) == len(values_b))


def _by_line(own: Expression) -> list[list[int]]:
    """Group the values of an expression by the place in the code that makes them."""
    lines: dict[str, list[int]] = collections.defaultdict(list)
    for call in own.calls:
        lines[own.trace.calls[call].line].append(call)
    groups = []
    for calls in lines.values():
        functions = [own.trace.calls[call].function for call in calls]
        period = next(count for count in range(1, len(calls) + 1) if _repeats(functions, count))
        groups += [calls[start::period] for start in range(period)]
    return [[own.trace.calls[call].outputs[0] for call in group] for group in sorted(groups)]


def _repeats(words: Sequence[str], period: int) -> bool:
    return len(words) % period == 0 and list(words) == list(words[:period]) * (len(words) // period)


def _given(
    a: Expression, b: Expression, values_a: Sequence[int], values_b: Sequence[int]
) -> dict[Slot, np.ndarray] | None:
    """Return A's arrays in the form of B's; None if they do not fit, or are all equal."""
    given, differ = dict[Slot, np.ndarray](), False
    for value_a, value_b in zip(values_a, values_b, strict=True):
        own, other = a.array(value_a), b.array(value_b)
        if own.size != other.size or own.size <= 1:
            return None
        given[value_b] = next(forms(own, other))
        differ = differ or difference(given[value_b], other) > ROUNDING
    return given if differ else None


def _piece(
    a: Expression,
    b: Expression,
    values_a: Sequence[int],
    values_b: Sequence[int],
    given: dict[Slot, np.ndarray],
) -> Narrowed | None:
    """Return the first differing pieces between values that are equal once ``given`` are exchanged."""
    for value_a, value_b in zip(values_a, values_b, strict=True):
        others: dict[Slot, np.ndarray] = {value: array for value, array in given.items() if value != value_b}
        made = b.values(others)
        own = made.get(value_b, b.array(value_b))
        if own is None or difference(own, given[value_b]) <= ROUNDING:
            continue
        arrays = made | others
        values = [
            value if arrays.get(place) is None else msgspec.structs.replace(value, array=arrays[place])
            for place, value in enumerate(b.trace.values)
        ]
        source_b = Calls(msgspec.structs.replace(b.trace, values=values))
        whole_b = Expression(source_b, Segment(b.before(value_b), b.enters), value_b, Budget())
        whole_a = a.up_to(value_a)
        equal = _equal_values(whole_a, whole_b)
        of_a, of_b = ([pair[side] for pair in equal] for side in (0, 1))
        return Narrowed(_cut(whole_a, of_a), _cut(whole_b, of_b), given)
    return None


def _equal_values(a: Expression, b: Expression) -> list[tuple[int, int]]:
    """List the values of both sides with the same numbers, whose shapes and orders of axes may differ."""
    of_a, of_b = ([*each.sources(), *each.made()[:-1]] for each in (a, b))
    norms: dict[int, list[int]] = collections.defaultdict(list)
    for value in of_a:
        norms[a.array(value).size].append(value)
    return [
        (one, other)
        for other in of_b
        for one in norms[b.array(other).size]
        if b.array(other).size > 1 and _same_numbers(a.array(one), b.array(other))
    ]


def _same_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    return difference(one.ravel(), other.ravel()) <= ROUNDING or are_equal(one, other)


def _cut(own: Expression, begins: Sequence[int]) -> Expression:
    """Return the part of an expression that leads to its end from the values ``begins``."""
    common = {*begins, *own.enters}
    segment = segment_before(own.trace, own.end, lambda value: value != own.end and value in common)
    return Expression(Calls(own.trace), segment, own.end, Budget())
