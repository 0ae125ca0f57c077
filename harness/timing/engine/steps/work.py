"""Judgement of the work of two sides of a step, by the values of their first calls.

Equal bits are the same work. Other bits are either other rounding or other mathematics, which no constant
tells apart: rounding grows from call to call, slowly in a regression and fast in a deep network. So base is
made again where only its rounding differs (:mod:`harness.timing.engine.steps.rounding`), and the distance
that this leads away from base is the *envelope*. Where the frameworks allow it both sides are made once more
in float64, in which rounding is a billion times smaller, and that decides. Nothing is timed here.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from harness.timing.engine.steps.findings import Outcome, ValueDiffers, WorkComparison
from harness.timing.engine.steps.process import Made

CALLS = 20
Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
#: What rounding explains where none was observed, and its ratio to what was observed: in less than float64,
#: and in float64.
_FLOOR, _FACTOR = 1e-5, 100.0
_EXACT_FLOOR, _EXACT_FACTOR = 1e-12, 100.0
#: From a call on at which rounding is larger than this, float64 does not decide: parts are of less precision.
_EXACT_ENOUGH = 1e-9
#: Base whose two processes first differ by more than this is not deterministic.
_DETERMINISTIC = 1e-3


class Observed(NamedTuple):
    """The values that one process returned: of each call, and its state after them."""

    made: Made
    calls: Sequence[Arrays]
    state: Arrays


class Rounded(NamedTuple):
    """Further processes; None where a step cannot be made so.

    ``base`` is base with other rounding. The others are in float64: base, base with other rounding, and head.
    """

    base: Observed | None
    exact_base: Observed | None
    exact_rounded: Observed | None
    exact_head: Observed | None


def compare(
    base: Sequence[Observed],
    head: Observed,
    rounded: Callable[[], Rounded],
    *,
    tolerance: float | None = None,
) -> WorkComparison:
    """Compare head with two processes of base.

    ``rounded`` makes further processes; it is called only where head's bits differ from base's. ``tolerance``
    takes the place of what rounding explains.
    """
    first, second = base
    other_versions = first.made.versions != head.made.versions
    calls = min(len(first.calls), len(second.calls), len(head.calls))
    if not any(first.calls) and not any(head.calls):
        return WorkComparison(outcome="not returned", other_versions=other_versions)
    states = len(first.calls) == len(head.calls) and bool(first.state or head.state)
    own, found = (_Series(first, other, calls, states=states) for other in (second, head))
    result = WorkComparison(
        outcome="same",
        calls=calls,
        tolerance=tolerance,
        spread=own.largest,
        deviations=found.deviations,
        other_versions=other_versions,
        states=states,
    )
    if own.first is not None and (own.first.deviation is None or own.first.deviation > _DETERMINISTIC):
        return msgspec.structs.replace(result, outcome="not deterministic", deviations=[])
    if found.first is None:
        return msgspec.structs.replace(result, outcome="same" if _is_finite(first, calls) else "not finite")
    if found.incomparable is not None:
        return msgspec.structs.replace(result, outcome="differs", difference=found.incomparable)
    if tolerance is not None:
        limits = [max(tolerance, _FACTOR * each) for each in own.grown]
        outcome: Outcome = "differs" if found.leaves(limits) else "within tolerance"
    else:
        outcome, limits, exact = _judged(first, own, found, rounded())
        explained = [limit if np.isfinite(limit) else None for limit in limits]
        result = msgspec.structs.replace(result, envelope=explained)
        if exact is not None:
            result = msgspec.structs.replace(result, exact=exact.deviations)
            found = exact if outcome == "differs" and exact.leaves(limits) else found
    if outcome == "differs":
        return msgspec.structs.replace(result, outcome=outcome, difference=found.worst(limits))
    if not _is_finite(first, calls):
        outcome = "not finite"
    return msgspec.structs.replace(result, outcome=outcome)


def _judged(
    first: Observed, own: "_Series", found: "_Series", rounded: Rounded
) -> tuple[Outcome, list[float], "_Series | None"]:
    """Return the outcome, what rounding explains at each place, and the deviations in float64."""
    observed = [own.grown]
    if rounded.base is not None:
        observed.append(found.like(first, rounded.base).grown)
    if _is_exact(first):
        limits = _limits(observed, _EXACT_FLOOR, _EXACT_FACTOR)
        return "differs" if found.leaves(limits) else "rounding", limits, found
    limits = _limits(observed, _FLOOR, _FACTOR)
    base, again, head = rounded.exact_base, rounded.exact_rounded, rounded.exact_head
    exact, decides = None, [False] * len(limits)
    if base is not None and again is not None and head is not None and _is_exact(base):
        exact, noise = found.like(base, head), found.like(base, again)
        decides = [
            here and each <= _EXACT_ENOUGH for here, each in zip(exact.compared, noise.grown, strict=True)
        ]
        exact_limits = _limits([noise.grown], _EXACT_FLOOR, _EXACT_FACTOR)
        judged = [limit if sure else np.inf for limit, sure in zip(exact_limits, decides, strict=True)]
        if exact.leaves(judged):
            return "differs", judged, exact
    # Weights on which nothing depends, such as a bias before a normalisation, are rounding alone in any type.
    left = [np.inf if sure else limit for limit, sure in zip(limits, decides, strict=True)]
    if found.leaves(left):
        return "differs", limits, None
    return "rounding" if all(decides[: found.calls]) else "not distinguished", limits, exact


def rounding_limits(
    observed: Sequence[Sequence[float]], values: Sequence[Arrays], tolerance: float | None
) -> list[float]:
    """Return what rounding explains at each place, from the deviations that were ``observed``.

    ``values`` are of base; ``tolerance`` takes the place of what rounding explains.
    """
    if tolerance is not None:
        return [max(tolerance, _FACTOR * each) for each in observed[-1]]
    if _are_exact(values):
        return _limits(observed, _EXACT_FLOOR, _EXACT_FACTOR)
    return _limits(observed, _FLOOR, _FACTOR)


def _limits(observed: Sequence[Sequence[float]], floor: float, factor: float) -> list[float]:
    return [max(floor, factor * max(each)) for each in zip(*observed, strict=True)]


class _Series:
    """The deviations of ``head`` from ``base``: at each of ``calls`` calls, and in the state after them."""

    def __init__(self, base: Observed, head: Observed, calls: int, *, states: bool) -> None:
        self.calls, self._states = calls, states
        made = min(len(base.calls), len(head.calls))
        self._found = [
            farthest(base.calls[call], head.calls[call], call + 1) if call < made else None
            for call in range(calls)
        ]
        #: Places at which both have values: a slow process makes fewer calls, and has another state then.
        self.compared = [call < made for call in range(calls)] + [made >= calls] * states
        if states:
            state = farthest(base.state, head.state, calls, is_state=True) if made >= calls else None
            self._found.append(state)

    def like(self, base: Observed, head: Observed) -> "_Series":
        """Return the deviations of two other processes at the same places."""
        return _Series(base, head, self.calls, states=self._states)

    @property
    def first(self) -> ValueDiffers | None:
        """The first difference."""
        return next((each for each in self._found if each is not None), None)

    @property
    def incomparable(self) -> ValueDiffers | None:
        """The first difference without a size."""
        return next((each for each in self._found if each is not None and each.deviation is None), None)

    @property
    def deviations(self) -> list[float | None]:
        """The deviation at each place."""
        return [0.0 if each is None else each.deviation for each in self._found]

    @property
    def grown(self) -> list[float]:
        """The largest deviation up to each place; infinite from where there is none, or none with a size."""
        known = zip(self.deviations, self.compared, strict=True)
        return list(accumulate((each if here and each is not None else np.inf for each, here in known), max))

    @property
    def largest(self) -> float | None:
        """The largest deviation; None where one has no size."""
        return None if self.incomparable else self.grown[-1]

    def leaves(self, limits: Sequence[float]) -> bool:
        """Check for a deviation above its limit."""
        return any(
            deviation is None or deviation > limit
            for deviation, limit in zip(self.deviations, limits, strict=True)
        )

    def worst(self, limits: Sequence[float]) -> ValueDiffers:
        """Return the largest of the differences that are above their limits."""
        above = [
            each
            for each, limit in zip(self._found, limits, strict=True)
            if each is not None and (each.deviation is None or each.deviation > limit)
        ]
        return max(above, key=lambda each: np.inf if each.deviation is None else each.deviation)


def farthest(base: Arrays, head: Arrays, call: int, *, is_state: bool = False) -> ValueDiffers | None:
    """Return the difference of the arrays of ``base`` and ``head``; None where all bits have equal meaning.

    Arrays are compared whole, by the largest difference of two numbers relative to the largest number.
    """
    worst: ValueDiffers | None = None
    for name in [*base, *(each for each in head if each not in base)]:
        ours, theirs = base.get(name), head.get(name)
        numbers = (None, None) if ours is None or theirs is None else _numbers_apart(ours, theirs)
        if numbers is None:
            continue
        one, other, *size = numbers
        found = ValueDiffers(
            call=call,
            is_state=is_state,
            name=name,
            base=one,
            head=other,
            deviation=size[0] if size else None,
        )
        if found.deviation is None:
            return found
        if worst is None or worst.deviation is None or found.deviation > worst.deviation:
            worst = found
    return worst


def _numbers_apart(
    base: Array, head: Array
) -> tuple[float | None, float | None] | tuple[float, float, float] | None:
    """Return the two numbers farthest apart and their relative distance; None where nothing differs.

    Without a distance where shapes differ, or one of two numbers is not finite in another way.
    """
    if base.shape != head.shape or (base.dtype.kind == "c") != (head.dtype.kind == "c"):
        return None, None
    if base.dtype == head.dtype and base.tobytes() == head.tobytes():
        return None
    kind = np.complex128 if base.dtype.kind == "c" else np.float64
    ours, theirs = (_parts(np.asarray(each, kind)) for each in (base, head))
    finite = np.isfinite(ours) & np.isfinite(theirs)
    strange = ~finite & (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
    if strange.any():
        place = int(np.argmax(strange))
        return tuple(float(each[place]) if np.isfinite(each[place]) else None for each in (ours, theirs))  # type: ignore[return-value]
    distances = np.abs(np.where(finite, ours, 0.0) - np.where(finite, theirs, 0.0))
    place = int(np.argmax(distances)) if distances.size else 0
    if not distances.size or distances[place] == 0:
        return None
    scale = max(float(np.max(np.abs(np.where(finite, each, 0.0)))) for each in (ours, theirs))
    return float(ours[place]), float(theirs[place]), float(distances[place] / scale)


def _parts(array: Array) -> Array:
    """Return all numbers in one row, of complex ones real and imaginary parts."""
    flat = np.ravel(array)
    return flat.view(np.float64) if flat.dtype.kind == "c" else flat


def first_number(array: Array) -> float | None:
    """Return the first number of an array; None where there is none or it is not finite."""
    parts = _parts(array)[:1].astype(np.float64)
    return float(parts[0]) if parts.size and np.isfinite(parts[0]) else None


def _is_finite(observed: Observed, calls: int) -> bool:
    every = [*observed.calls[:calls], observed.state]
    return all(np.isfinite(array).all() for arrays in every for array in arrays.values())


def _is_exact(observed: Observed) -> bool:
    return _are_exact(observed.calls)


def _are_exact(calls: Sequence[Arrays]) -> bool:
    """Check that values were computed in float64: some are, and are not numbers of float32."""
    arrays = [array for arrays in calls for array in arrays.values() if array.dtype.kind in "fc"]
    if any(array.dtype.itemsize < (16 if array.dtype.kind == "c" else 8) for array in arrays):
        return False
    parts = [_parts(array) for array in arrays]
    return any(
        bool((part[np.isfinite(part)] != part[np.isfinite(part)].astype(np.float32)).any()) for part in parts
    )
