"""Whether two sides of a step do the same work: the values of their first calls are compared.

Two processes of base show how much its own values differ. Nothing is timed here.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from harness.steps.findings import ValueDiffers, Values, WorkComparison
from harness.steps.process import (
    Called,
    FirstCalls,
    Made,
    ReadState,
    State,
    StepSession,
    StepTarget,
)

CALLS = 20
_MOST_SECONDS = 10.0
#: Values of the same versions of the frameworks are equal to within this, or ten times base's own spread.
_ROUNDING = 1e-6
_SPREADS = 10.0
#: Other versions, or other implementations: of the first call, and of later ones, in which rounding grows.
_FIRST, _LATER = 1e-5, 1e-2
#: Base whose own values differ by more than this is not deterministic.
_DETERMINISTIC = 1e-3


class Observed(NamedTuple):
    """What one process returned."""

    made: Made
    values: list[Values]
    state: Values


class Side(NamedTuple):
    """A step, and a function that starts a process for it; ``blamed`` names the side in errors."""

    target: StepTarget
    start: Callable[[], StepSession]
    blamed: Callable[[StepSession], contextlib.AbstractContextManager[None]]


def observe(sides: Sequence[Side], calls: int = CALLS) -> list[Observed]:
    """The first calls of a fresh process of each side, all at the same time.

    Raises:
        HarnessError: a process failed; see :meth:`Side.blamed`.
    """
    with contextlib.ExitStack() as stack:
        sessions = [side.start() for side in _closing(sides, stack)]
        return [
            observed
            for side, session in zip(sides, sessions, strict=True)
            for observed in [_observed(side, session, calls)]
        ]


def _closing(sides: Sequence[Side], stack: contextlib.ExitStack) -> Iterator[Side]:
    for side in sides:

        def start(side: Side = side) -> StepSession:
            session = side.start()
            stack.callback(session.kill_and_close)
            with side.blamed(session):
                session.send(side.target.request())
            return session

        yield side._replace(start=start)


def _observed(side: Side, session: StepSession, calls: int) -> Observed:
    with side.blamed(session):
        made = session.receive(Made)
        called = session.call(FirstCalls(calls, _MOST_SECONDS), Called)
        return Observed(made, called.values, session.call(ReadState(), State).values)


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
    spreads = [0.0 if each is None else each[-1] for each in own]
    spread = max((each for each in spreads if each is not None), default=None)
    facts = {"calls": calls, "spread": spread, "other_versions": other_versions}
    if None in spreads or (spread or 0.0) > _DETERMINISTIC:
        return WorkComparison(outcome="not deterministic", **facts)  # type: ignore[arg-type]
    largest = 0.0
    for call in range(calls):
        largest = max(largest, spreads[call] or 0.0)
        limit = _limit(call, loose=other_versions or other_code) if tolerance is None else tolerance
        found = _difference(first.values[call], head.values[call], max(limit, _SPREADS * largest))
        if found is not None:
            differs = ValueDiffers(call=call + 1, is_state=False, **found._asdict())
            return WorkComparison(outcome="differs", difference=differs, **facts)  # type: ignore[arg-type]
    if len(first.values) != len(head.values) or not (first.state or head.state):
        return WorkComparison(outcome="same", **facts)  # type: ignore[arg-type]
    drift = _difference(first.state, second.state, 0.0)
    own_drift = 0.0 if drift is None else drift.deviation or 0.0
    limit = _limit(calls, loose=other_versions or other_code) if tolerance is None else tolerance
    found = _difference(first.state, head.state, max(limit, _SPREADS * own_drift))
    if found is None:
        return WorkComparison(outcome="same", states=True, **facts)  # type: ignore[arg-type]
    differs = ValueDiffers(call=calls, is_state=True, **found._asdict())
    return WorkComparison(outcome="differs", difference=differs, states=True, **facts)  # type: ignore[arg-type]


def _limit(call: int, *, loose: bool) -> float:
    if not loose:
        return _ROUNDING
    return _LATER if call else _FIRST


class _Found(NamedTuple):
    name: str
    base: float | None
    head: float | None
    deviation: float | None


def _difference(base: Values, head: Values, limit: float) -> _Found | None:
    """The value that differs most, by more than ``limit``: relative to the largest number beside it."""
    worst: _Found | None = None
    for name in [*base, *(each for each in head if each not in base)]:
        if name not in base or name not in head or base[name][0] != head[name][0]:
            return _Found(name, None, None, None)
        ours, theirs = base[name][1], head[name][1]
        scale = max((abs(number) for number in [*ours, *theirs] if number is not None), default=0.0)
        for one, other in zip(ours, theirs, strict=True):
            if one is None or other is None:
                if one is not other:
                    return _Found(name, one, other, None)
                continue
            deviation = abs(one - other) / scale if scale else 0.0
            if deviation > limit and (worst is None or deviation > (worst.deviation or 0.0)):
                worst = _Found(name, one, other, deviation)
    return worst
