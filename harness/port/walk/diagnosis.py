"""The cause of a difference: a change of one side that gives the other side's numbers, tried in NumPy.

A change gives a call another field or another order of inputs, exchanges values, or takes a table of the
other side. The numbers at the end decide.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.port.cause_kinds import REPLACED
from harness.port.record import Cause
from harness.port.values import are_equal
from harness.port.walk import tables
from harness.port.walk.changes import Change, changes
from harness.port.walk.corresponding import Corresponding, Goal
from harness.port.walk.expressions import Expression
from harness.port.walk.places import LEADING
from harness.tracing import semantics as kinds

_MOST_EXPLANATIONS = 8


class Explanation(NamedTuple):
    """A change that gives the other side's numbers, and whether it is one of A."""

    change: Change
    of_a: bool
    before: float
    after: float


def explanation(whole_a: Expression, whole_b: Expression, pair: Corresponding) -> Explanation | None:
    """Find the change in one of the smallest expressions after which the whole expressions agree."""
    sides = [(pair.a, whole_a, pair.b, whole_b), (pair.b, whole_b, pair.a, whole_a)]
    # A change is more telling on the side with fewer calls.
    for own, whole, other, wanted in sorted(sides, key=lambda side: (len(side[0].calls), side[0] is pair.a)):
        goal, found = Goal(wanted, whole), list[tuple[int, Explanation]]()
        own.budget.renew()
        for change in changes(own, other):
            out = whole.computed(change.given, change.calls)
            if out is not None and change.turned is not None:
                out = out[..., change.turned] if out.shape[-1] == len(change.turned) else None
            gap = goal.gap(out)
            if goal.is_met(gap):
                shared = _shared(whole.values(change.given, change.calls), whole, wanted)
                found.append((shared, Explanation(change, own is pair.a, goal.before, gap)))
                own.budget.end_soon()
            if own.budget.is_spent or len(found) >= _MOST_EXPLANATIONS:
                break
        if found:
            return max(found, key=lambda each: each[0])[1]
    return None


def _shared(values: Mapping[int, np.ndarray | None], own: Expression, other: Expression) -> int:
    """Count the changed values that equal values of the other side; more of them are likelier."""
    arrays = [values.get(value, own.array(value)) for value in own.made()]
    wanted = [other.array(value) for value in other.made()]
    return sum(
        any(are_equal(each, there) for there in wanted if there.size == each.size)
        for each in arrays
        if each is not None and each.size > 1
    )


#: The neutral number of each function.
_NEUTRAL = {"add": "0", "subtract": "0", "multiply": "1", "divide": "1", "power": "1"}


def causes_of(a: Expression, b: Expression, pair: Corresponding, consumer: str) -> list[Cause]:
    """Return the causes of the difference of the smallest expressions, or else the expressions as a cause."""
    if not pair.a.calls and not pair.b.calls:
        kind, own, other = "exchange", a.name(pair.a.end), b.name(pair.b.end)
        if pair.a.is_table(pair.a.end):
            kind, other, own = tables.described(pair.b.result, pair.array)
        users = [
            next(iter(each.consumers(end)), (None, 0))[0] for each, end in ((a, pair.a.end), (b, pair.b.end))
        ]
        return [_cause(kind, pair, own, other, pair.before, pair.after, consumer, *users)]
    if pair.a.calls and pair.b.calls:
        found = explanation(a, b, pair)
        if found is not None:
            return explained(found, pair, consumer)
    own, other = pair.a.text(), pair.b.text()
    masks = [_mask_of(each) for each in (pair.a, pair.b)]
    if pair.a.calls and pair.b.calls:
        kind = REPLACED
    elif any(masks):
        kind, own, other = "mask", masks[0] or "none", masks[1] or "none"
    else:
        kind = "missing call" if pair.a.calls else "extra call"
    cause = _cause(kind, pair, own, other, pair.before, pair.after, consumer)
    cause.exchanged = [name for each in (pair.a, pair.b) for name in each.stored()]
    return [cause]


def _mask_of(expression: Expression) -> str:
    """Describe the keys that are seen if the last call applies a constant mask; else return an empty text."""
    if len(expression.sounding()) != 1:
        return ""
    call = expression.trace.calls[expression.sounding()[0]]
    held = [expression.trace.values[value] for value in call.inputs]
    found = (
        tables.mask_text(each.array) for each in held if each.source == "constant" and each.array.size > 1
    )
    return next(filter(None, found), "")


def explained(found: Explanation, pair: Corresponding, consumer: str) -> list[Cause]:
    """Return a cause of the fitting kind for each part of the change ``found``."""
    change, causes = found.change, []
    place_a, place_b = (change.call, None) if found.of_a else (None, change.call)
    for kind, one, other in ((change.kind, change.own, change.other), *change.also):
        texts = (one, other) if found.of_a else (other, one)
        call = (
            None if change.call is None else (pair.a if found.of_a else pair.b).trace.calls[change.call].does
        )
        if kind == "constant" and isinstance(call, kinds.Arithmetic) and other == _NEUTRAL.get(call.function):
            word = f"{call.function} {one}"
            kind = "missing call" if found.of_a else "extra call"  # noqa: PLW2901  its right name
            texts = (word, "nothing") if found.of_a else ("nothing", word)
        if kind == "activation" and "identity" in texts:
            kind = "extra call" if texts[0] == "identity" else "missing call"  # noqa: PLW2901  its right name
        causes.append(
            _cause(kind, pair, *texts, found.before, found.after, consumer, place_a=place_a, place_b=place_b)
        )
    leading = LEADING & {cause.kind for cause in causes}
    return [cause for cause in causes if cause.kind != "padding" or not leading]


def _cause(
    kind: str,
    pair: Corresponding,
    own: str,
    other: str,
    before: float | None,
    after: float | None,
    consumer: str,
    place_a: int | None = None,
    place_b: int | None = None,
) -> Cause:
    """Make a cause at calls of both sides, by default at the ends; B's place may be before ``consumer``."""
    calls = []
    for expression, place in ((pair.a, place_a), (pair.b, place_b)):
        shown = place if place is not None else next(iter(expression.sounding()[-1:]), None)
        calls.append(None if shown is None else expression.trace.calls[shown])
    a, b = calls
    cause = Cause.at(kind, a, b, own, other, before, after)
    if kind in {"missing call", "extra call", REPLACED} and consumer and consumer != cause.path_b:
        cause.path_b = f"{cause.path_b} before {consumer}".lstrip()
    elif not cause.path_b and b is None and consumer:
        cause.path_b = f"before {consumer}"
    return cause
