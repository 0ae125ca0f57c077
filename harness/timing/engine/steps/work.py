"""Comparison of the work of two sides of a step: the values of their first calls.

Two processes of base show how much its own values differ. Nothing is timed here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from harness.timing.engine.steps.findings import ValueDiffers, Values, WorkComparison
from harness.timing.engine.steps.process import Made

CALLS = 20
#: Values of the same versions of the frameworks are equal to within this, or ten times base's own spread.
_ROUNDING = 1e-6
_SPREADS = 10.0
#: Other versions, or other implementations: of the first call, and of later ones, in which rounding grows.
_FIRST, _LATER = 1e-5, 1e-2
#: Base whose own values differ by more than this is not deterministic.
_DETERMINISTIC = 1e-3


class Observed(NamedTuple):
    """The values that one process returned."""

    made: Made
    values: list[Values]
    state: Values


def compare(
    base: Sequence[Observed], head: Observed, *, tolerance: float | None = None, other_code: bool = False
) -> WorkComparison:
    """Compare head with two processes of base.

    ``tolerance`` replaces the usual ones. ``other_code``: the two are different implementations, whose
    rounding differs as that of other versions does.
    """
    first, second = base
    calls = min(len(first.values), len(second.values), len(head.values))
    other_versions = first.made.versions != head.made.versions
    if not any(first.values) and not any(head.values):
        return WorkComparison(outcome="not returned", other_versions=other_versions)
    own = [_difference(first.values[i], second.values[i], 0.0) for i in range(calls)]
    spreads = [0.0 if each is None else each.deviation for each in own]
    spread = max((each for each in spreads if each is not None), default=None)
    same = WorkComparison(outcome="same", calls=calls, spread=spread, other_versions=other_versions)
    if None in spreads or (spread or 0.0) > _DETERMINISTIC:
        return msgspec.structs.replace(same, outcome="not deterministic")

    def limit(call: int, own: float) -> float:
        usual = _ROUNDING
        if other_versions or other_code:
            usual = _LATER if call else _FIRST
        return max(usual if tolerance is None else tolerance, _SPREADS * own)

    largest = 0.0
    for call in range(calls):
        largest = max(largest, spreads[call] or 0.0)
        allowed = limit(call, largest)
        if differs := _difference(first.values[call], head.values[call], allowed, call + 1):
            return msgspec.structs.replace(same, outcome="differs", difference=differs)
    if len(first.values) != len(head.values) or not (first.state or head.state):
        return same
    drift = _difference(first.state, second.state, 0.0)
    own_drift = 0.0 if drift is None else drift.deviation or 0.0
    differs = _difference(first.state, head.state, limit(calls, own_drift), calls, is_state=True)
    if differs is None:
        return msgspec.structs.replace(same, states=True)
    return msgspec.structs.replace(same, outcome="differs", difference=differs, states=True)


def _difference(
    base: Values, head: Values, limit: float, call: int = 0, *, is_state: bool = False
) -> ValueDiffers | None:
    """Return the value that differs most, by more than ``limit`` relative to the largest number beside it."""

    def differs(
        ours: float | None = None, theirs: float | None = None, deviation: float | None = None
    ) -> ValueDiffers:
        return ValueDiffers(
            call=call, is_state=is_state, name=name, base=ours, head=theirs, deviation=deviation
        )

    worst: ValueDiffers | None = None
    for name in [*base, *(each for each in head if each not in base)]:
        if name not in base or name not in head or base[name][0] != head[name][0]:
            return differs()
        ours, theirs = base[name][1], head[name][1]
        scale = max((abs(number) for number in [*ours, *theirs] if number is not None), default=0.0)
        for one, other in zip(ours, theirs, strict=True):
            if one is None or other is None:
                if one is not other:
                    return differs(one, other)
                continue
            deviation = abs(one - other) / scale if scale else 0.0
            if deviation > limit and (worst is None or deviation > (worst.deviation or 0.0)):
                worst = differs(one, other, deviation)
    return worst
