"""Corresponding values of both sides, and the smallest expressions that differ."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.port.values import ROUNDING, ValueIndex, are_alike, are_equal, difference
from harness.port.walk.expressions import Expression, Slot, forms

#: A change explains a difference if at most this share of it remains.
_REMAINS = 1e-4
_MISSING = 1.5
#: The largest expressions with which a difference begins, and how many further values must become right.
_MOST_AT_ONCE, _ENOUGH = 24, 2


def explains(after: float, before: float) -> bool:
    """Check that the difference ``after`` a change is rounding, compared with that ``before``."""
    return after <= max(ROUNDING, min(1e-7, _REMAINS * before))


class Corresponding(NamedTuple):
    """Expressions with corresponding ends: A's end in the slots of B makes the rest of B right."""

    a: Expression
    b: Expression
    slots: tuple[Slot, ...]
    array: np.ndarray
    before: float
    after: float


#: For each axis of a value of B, the axis of A's value; None where any order may be right.
AxisOrder = tuple[int, ...] | None


class Goal:
    """The wanted end of B: A's end with its axes in a given order, or in any."""

    def __init__(self, a: Expression, b: Expression, order: AxisOrder = None) -> None:
        end = a.result
        turned = end.transpose(order) if order is not None and len(order) == end.ndim else end
        is_known = order is not None and turned.shape == b.result.shape
        self.wanted = [turned] if is_known else list(forms(end, b.result))
        self.before = min((difference(b.result, each) for each in self.wanted), default=np.inf)

    def gap(self, out: np.ndarray | None) -> float:
        """Return the difference of ``out`` from the wanted end."""
        if out is None:
            return np.inf
        gaps = [difference(out, each) for each in self.wanted if each.shape == out.shape]
        if not gaps:
            gaps = [difference(form, each) for each in self.wanted[:1] for form in forms(out, each)]
        return min(gaps, default=np.inf)

    def is_met(self, gap: float) -> bool:
        """Check that the difference ``gap`` is rounding."""
        return explains(gap, self.before if np.isfinite(self.before) else 1.0)


def corresponding(a: Expression, b: Expression, order: AxisOrder = None) -> Corresponding:
    """Find the smallest expressions that differ; one is empty if the other continues from its end.

    ``order`` is the order of the axes of the ends, where it is known.
    """
    pair = _smallest(a, b, order)
    rests = _rest(pair.a, pair.b.result), _rest(pair.b, pair.a.result)
    if any(rests):
        return pair._replace(a=rests[0] or pair.a.empty(), b=rests[1] or pair.b.empty())
    # A side may use a value that it has for other calls, too: the call that made it is what differs.
    if pair.b.calls and not pair.a.calls and not pair.b.begins_with(pair.a.result):
        return pair._replace(a=pair.a.with_last_call())
    if pair.a.calls and not pair.b.calls and not pair.a.begins_with(pair.b.result):
        return pair._replace(b=pair.b.with_last_call())
    return pair


def _smallest(a: Expression, b: Expression, order: AxisOrder) -> Corresponding:
    goal = Goal(a, b, order)
    whole = next(iter(goal.wanted), a.result)
    last = Corresponding(a, b, (b.end,) if b.calls else (), whole, goal.before, 0.0)
    for size, value_a, slots, value_b in _candidates(a, b):
        if size >= _size(len(a.calls), len(b.calls)) or b.budget.is_spent:
            break
        own, other = a.array(value_a), b.array(value_b)
        if size == _MISSING and are_equal(own, other):  # the same value with its axes in another order
            continue
        for form in forms(own, other):
            if difference(form, other) <= ROUNDING:
                continue
            gap = goal.gap(b.computed(dict.fromkeys(slots, form)))
            if goal.is_met(gap):
                return Corresponding(a.up_to(value_a), b.up_to(value_b), slots, form, goal.before, gap)
    return last


def beginning(a: Expression, b: Expression, index: ValueIndex) -> Corresponding | None:
    """Find the smallest expressions that differ where the difference begins, as in the first step of a loop.

    A's value in the place of B's makes further values of B equal to values of A, which ``index`` has; the end
    of B need not become right. None if there are no such expressions.
    """
    b.budget.renew()
    for size, value_a, slots, value_b in _candidates(a, b):
        if size > _MOST_AT_ONCE or b.budget.is_spent:
            break
        own, other = a.array(value_a), b.array(value_b)
        if not np.ptp(own):  # the state before the first step
            continue
        for form in forms(own, other):
            gap = difference(other, form)
            if gap <= ROUNDING or (size == _MISSING and are_equal(own, other)):
                continue
            made = b.values(dict.fromkeys(slots, form))
            if _right(made, b, value_b, index) >= _ENOUGH:
                return Corresponding(a.up_to(value_a), b.up_to(value_b), slots, form, gap, 0.0)
    return None


def _right(made: Mapping[int, np.ndarray | None], b: Expression, given: int, index: ValueIndex) -> int:
    """Count the values ``made`` of several inputs, other than the one ``given``, that A has too."""
    several = (
        array
        for value, array in made.items()
        if value != given and array is not None and array.size > 1 and _joins(b, value)
    )
    return sum(index.find(array) is not None for array in several)


def _joins(b: Expression, value: int) -> bool:
    call = b.source_of(value)
    return call is not None and len(call.inputs) + len(call.parameters) > 1


def _candidates(a: Expression, b: Expression) -> list[tuple[float, int, tuple[Slot, ...], int]]:
    """List the pairs of values of one shape, the smallest expressions first.

    Each has the size of the expressions, A's value, B's places in which it may stand, and B's value.
    """
    of_a = [(value, len(a.before(value))) for value in (*a.made(), *a.sources())]
    of_b: list[tuple[tuple[Slot, ...], int, int]] = [
        ((value,), value, len(b.before(value))) for value in b.made()
    ]
    for value in b.sources():
        users = b.consumers(value)
        of_b.append(((value,), value, 0))
        of_b += [((user,), value, 0) for user in users if len(users) > 1]
    lengths_a = {value: sorted(_long(a.array(value))) for value, _ in of_a}
    lengths_b = {value: sorted(_long(b.array(value))) for _, value, _ in of_b}
    return sorted(
        (
            (_size(size_a, size_b), value_a, slots, value_b)
            for value_a, size_a in of_a
            for slots, value_b, size_b in of_b
            if lengths_a[value_a] == lengths_b[value_b] != []
        ),
        key=lambda pair: pair[0],
    )


def _rest(expression: Expression, array: np.ndarray) -> Expression | None:
    """Return the part of ``expression`` after its last value with the numbers of ``array``, if any."""
    for value in reversed((*expression.sources(), *expression.made()[:-1])):
        if expression.array(value).size == array.size > 1 and are_alike(expression.array(value), array):
            return expression.after(value)
    return None


def _size(calls_a: int, calls_b: int) -> float:
    """Return the size of a difference: a replaced call is a smaller difference than a missing call."""
    return calls_a + calls_b + (0.0 if calls_a and calls_b else _MISSING)


def _long(array: np.ndarray) -> list[int]:
    return [size for size in array.shape if size != 1]
