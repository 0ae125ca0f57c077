"""Judgement of the work of two sides of a step, by the values of their first calls.

Equal numbers are the same work. Others come from other rounding or from other mathematics, and no constant
separates the two: rounding grows from call to call, slowly in a regression and fast in a deep network. So
base is made again where only its rounding differs (:mod:`harness.timing.engine.steps.observation`), and the
distance that this leads away from base is the *envelope*. Where the frameworks allow it both sides are made
once more in float64, in which rounding is a billion times smaller, and that decides. Nothing is timed here.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.timing.engine.steps.deviations import (
    Array,
    Deviations,
    Limits,
    Observed,
    first_number,
    is_single,
    parts,
)
from harness.timing.engine.steps.findings import Outcome, ValueDiffers, WorkComparison

CALLS = 20
#: What rounding explains where none was observed, and its ratio to what was observed: in less than float64,
#: and in float64.
_FLOOR, _FACTOR = 1e-5, 100.0
_EXACT_FLOOR, _EXACT_FACTOR = 1e-12, 100.0
#: The same in a repetition in float64, whose epsilons were chosen for float32: Adam divides the noise of a
#: gradient that is zero by its epsilon.
_WIDENED_FLOOR = 1e-11
#: Float64 does not decide about an array in which rounding is larger than this: parts are of less precision.
_EXACT_ENOUGH = 1e-9
#: Base whose two processes first differ by more than this is not deterministic.
_DETERMINISTIC = 1e-3


class Rounded(NamedTuple):
    """Further processes; None where a step cannot be made so.

    ``base`` is base with other rounding. The others are in float64: base, head, and each with other rounding.
    """

    base: Observed | None
    exact_base: Observed | None
    exact_rounded: Observed | None
    exact_head: Observed | None
    exact_head_rounded: Observed | None


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
    if not any(array.size for side in (first, head) for arrays in side.calls for array in arrays.values()):
        return WorkComparison(outcome="not returned", other_versions=other_versions)
    states = len(first.calls) == len(head.calls) and bool(first.state or head.state)
    own, found = (Deviations(first, other, calls, states=states) for other in (second, head))
    result = WorkComparison(
        outcome="same",
        calls=calls,
        tolerance=tolerance,
        spread=own.largest,
        deviations=found.stated(),
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
        limits, judged = own.limits([], tolerance, _FACTOR), found
        outcome: Outcome = "differs" if found.leaves(limits) else "within tolerance"
    else:
        outcome, limits, judged = _judged(first, own, found, rounded())
        explained = [limit if np.isfinite(limit) else None for limit in judged.envelope(limits)]
        exact = [] if judged is found else judged.stated(limits)
        result = msgspec.structs.replace(result, envelope=explained, exact=exact)
    if judged is found:
        result = msgspec.structs.replace(result, deviations=found.stated(limits))
    difference = judged.worst(limits) if outcome == "differs" else None
    wider = _wider(first, head, calls, states=states)
    if wider is not None and outcome in {"rounding", "not distinguished"}:
        # A state in float64 is other work; a returned number may be a mean that Python computed.
        outcome, difference = ("differs", wider) if wider.is_state else ("not distinguished", None)
    if outcome != "differs" and not _is_finite(first, calls):
        outcome = "not finite"
    return msgspec.structs.replace(result, outcome=outcome, difference=difference)


def _judged(
    first: Observed, own: Deviations, found: Deviations, rounded: Rounded
) -> tuple[Outcome, Limits, Deviations]:
    """Return the outcome, what is explained, and the series for which it is."""
    observed = [] if rounded.base is None else [found.like(first, rounded.base)]
    if _is_exact(first):
        limits = own.limits(observed, _EXACT_FLOOR, _EXACT_FACTOR)
        return "differs" if found.leaves(limits) else "rounding", limits, found
    limits = own.limits(observed, _FLOOR, _FACTOR)
    _, base, again, head, head_again = rounded
    outcome: Outcome = "differs" if found.leaves(limits) else "not distinguished"
    if base is None or again is None or head is None or head_again is None or not _is_exact(base):
        return outcome, limits, found
    # Head may compute a part in less precision than base, as a function of a library does.
    exact, noise, of_head = found.like(base, head), found.like(base, again), found.like(head, head_again)
    if max(noise.finest, of_head.finest) > _EXACT_FLOOR:
        return outcome, limits, found
    sides = noise.quiet(_EXACT_ENOUGH, base, exact), of_head.quiet(_EXACT_ENOUGH, head, exact)
    decided = [ours & theirs for ours, theirs in zip(*sides, strict=True)]
    exact_limits = _unlimited(noise.limits([of_head], _WIDENED_FLOOR, _EXACT_FACTOR), decided, inside=False)
    if exact.leaves(exact_limits):
        return "differs", exact_limits, exact
    # Weights on which nothing depends, such as a bias before a normalisation, are rounding alone in any type.
    left = _unlimited(limits, decided, inside=True)
    if found.leaves(left):
        return "differs", left, found
    counted = [(len(sure), len(names)) for names, sure in zip(limits, decided, strict=True)]
    every = all(sure == names for sure, names in counted[: found.calls])
    most = all(2 * sure >= names for sure, names in counted[found.calls :])
    return "rounding" if every and most else "not distinguished", limits, exact


def _unlimited(limits: Limits, names: Sequence[set[str]], *, inside: bool) -> Limits:
    """Return the limits without those of the arrays among ``names``, or of all others."""
    return [
        {name: np.inf if (name in those) is inside else limit for name, limit in each.items()}
        for each, those in zip(limits, names, strict=True)
    ]


def _is_finite(observed: Observed, calls: int) -> bool:
    every = [*observed.calls[:calls], observed.state]
    return all(np.isfinite(array).all() for arrays in every for array in arrays.values())


def _is_exact(observed: Observed) -> bool:
    """Check that values were computed in float64: some are, and are not numbers of float32."""
    return any(_is_double(array) for arrays in observed.calls for array in arrays.values())


def _is_double(array: Array) -> bool:
    numbers = parts(array)
    numbers = numbers[np.isfinite(numbers)]
    return not is_single(array) and bool((numbers != numbers.astype(np.float32)).any())


def _wider(base: Observed, head: Observed, calls: int, *, states: bool) -> ValueDiffers | None:
    """Return an array that is float64 in head and less in base: of the state, or else of a call."""
    places = [(number, base.calls[number - 1], head.calls[number - 1]) for number in range(1, calls + 1)]
    for call, ours, theirs in [*[(0, base.state, head.state)] * states, *places]:
        for name in ours.keys() & theirs.keys():
            if is_single(ours[name]) and _is_double(theirs[name]):
                return ValueDiffers(
                    call=call or calls,
                    is_state=not call,
                    name=name,
                    base=first_number(ours[name]),
                    head=first_number(theirs[name]),
                    deviation=None,
                    types=[ours[name].dtype.name, theirs[name].dtype.name],
                )
    return None
