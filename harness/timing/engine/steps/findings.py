"""Findings about the work of two steps, as data and in words; readers of records import this alone."""

from typing import Literal

import msgspec

#: The value of a call, to be shown: for each name (empty for a single value) the shape of the array and its
#: first number; None where that is not finite, or the array is empty.
FirstValues = dict[str, tuple[list[int], float | None]]
Outcome = Literal[
    "same",
    "within tolerance",
    "rounding",
    "not distinguished",
    "differs",
    "not finite",
    "not deterministic",
    "not returned",
    "not asked",
]
#: Each outcome in a table's column of values.
OUTCOME_WORDS: dict[Outcome, str] = {
    "same": "same",
    "within tolerance": "within tolerance",
    "rounding": "differ as rounding",
    "not distinguished": "like rounding",
    "differs": "differ",
    "not finite": "not finite",
    "not deterministic": "not deterministic",
    "not returned": "none returned",
    "not asked": "not compared",
}
_MOST_DIGITS = 17


class ValueDiffers(msgspec.Struct, frozen=True, kw_only=True):
    """A value of base and head that differs: of the call with this number, from 1, or of the state after it.

    ``base`` and ``head`` are the numbers of the array that are farthest apart. None: the number is not
    finite, or the arrays have other names or shapes.
    """

    call: int
    is_state: bool
    name: str
    base: float | None
    head: float | None
    deviation: float | None
    """Relative to the largest number of both arrays. None where one of the numbers is None."""
    is_unseen: bool = False
    """The digests of all numbers differ, and the few numbers that were sent do not."""
    types: list[str] = []
    """The types of both arrays, where they are the difference: ``float32``, ``float64``."""
    is_lacking: bool = False
    """Only one of the two has a value of this name."""


class WorkComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The extent of a comparison of work, and its result.

    ``deviations`` has the largest relative deviation of head from base at each call, and at last, if
    ``states`` were compared too, that of the state. None: names or shapes differ, or places of numbers that
    are not finite. For the same places ``envelope`` has the largest deviation that rounding explains, None
    where that has no limit; it is empty where head equals base bit by bit. ``exact`` has the deviations of
    both sides made in float64; it is empty where that was not needed or not possible.
    """

    outcome: Outcome
    calls: int = 0
    spread: float | None = None
    """The largest deviation of two processes of base."""
    deviations: list[float | None] = []
    envelope: list[float | None] = []
    exact: list[float | None] = []
    difference: ValueDiffers | None = None
    """The largest difference, in float64 where ``exact`` decided that there is one."""
    other_versions: bool = False
    states: bool = False
    tolerance: float | None = None
    """What takes the place of what rounding explains, if the user set it."""
    late_compared: int = 0
    """Timed calls, the last of a block each, that were compared, over all pairs."""
    late_call: int = 0
    """The last of them."""

    @property
    def largest(self) -> float | None:
        """The largest deviation of a call; None where nothing was compared or a difference has no size."""
        of_calls = [each for each in self.deviations[: self.calls] if each is not None]
        return max(of_calls) if len(of_calls) == self.calls > 0 else None


def difference_text(difference: ValueDiffers) -> str:
    """Return ``the values differ by up to 3.0e-05 (call 3: 0.71552 and 0.71554)``."""
    name = f" {difference.name}" if difference.name else ""
    where = f"call {difference.call}"
    what = f"the values{name} differ"
    if difference.is_state:
        where, what = f"after call {difference.call}", f"the state{name} differs"
    if difference.is_lacking:
        value = f"the value {difference.name}" if difference.name else "a value"
        return f"only one side returns {value} ({where})"
    if difference.types:
        return f"{what} in precision ({where}: {' and '.join(difference.types)})"
    if difference.deviation is not None:
        return f"{what} by up to {difference.deviation:.1e} ({where}: {_numbers(difference)})"
    if difference.is_unseen:
        return f"{what} ({where}: in numbers that were not sent; the digests of all of them differ)"
    if difference.base is None and difference.head is None:
        return f"{what} ({where}: in shape, or in which numbers are finite)"
    return f"{what} ({where}: {_numbers(difference)})"


def _numbers(difference: ValueDiffers) -> str:
    """Return both numbers, to two digits more than those in which they agree."""
    base, head = difference.base, difference.head
    if base is None or head is None:
        return " and ".join("not finite" if each is None else f"{each:.9g}" for each in (base, head))
    digits = next((n for n in range(3, _MOST_DIGITS) if f"{base:.{n}g}" != f"{head:.{n}g}"), _MOST_DIGITS)
    digits = min(digits + 1, _MOST_DIGITS)
    return f"{base:.{digits}g} and {head:.{digits}g}"


#: The clause about each outcome; what stands in braces is computed by :func:`comparison_text`.
_CLAUSES: dict[Outcome, str] = {
    "same": "{first}{state} are equal bit by bit",
    "within tolerance": "{first} differ by up to {largest}{state}, which the tolerance allows",
    "rounding": "{first} differ by up to {largest}{state}, as rounding does: in float64 they agree to "
    "{exact}",
    "not distinguished": "{first} differ by up to {largest}{state}, which cannot be distinguished from "
    "rounding",
    "differs": "{difference}",
    "not finite": "{first}{state} are not all finite, so that equal numbers prove little",
    "not deterministic": "the step is not deterministic: two processes of the reference differ{spread}; not "
    "compared",
    "not returned": "work not compared: the step returns no value",
    "not asked": "work not compared, as asked: values may differ",
}


def comparison_text(comparison: WorkComparison) -> str:
    """Return a clause that says which values are equal, and what was not compared."""
    state = " and the state after them" if comparison.states else ""
    last = comparison.deviations[-1] if comparison.states and comparison.deviations else None
    if last and comparison.outcome in {"within tolerance", "rounding", "not distinguished"}:
        state = f" and the state after them by up to {last:.1e}"
    late = ""
    if comparison.late_compared:
        late = f"; {comparison.late_compared:,} timed calls compared, up to call {comparison.late_call:,}"
    exact = max((each or 0.0 for each in comparison.exact[: comparison.calls]), default=0.0)
    return _CLAUSES[comparison.outcome].format(
        first=f"the values of the first {comparison.calls} calls",
        largest="" if comparison.largest is None else f"{comparison.largest:.1e}",
        state=state,
        exact=f"{exact:.0e}",
        difference=_difference(comparison),
        spread="" if comparison.spread is None else f" (by {comparison.spread:.1e})",
    ) + late * (comparison.difference is None)


def _difference(comparison: WorkComparison) -> str:
    difference = comparison.difference
    if difference is None:
        return ""
    where = ", in float64" if comparison.exact and difference.call <= comparison.calls else ""
    place = len(comparison.envelope) - 1 if difference.is_state else difference.call - 1
    explained = comparison.envelope[place] if 0 <= place < len(comparison.envelope) else None
    bound = "" if explained is None else f", where rounding explains {explained:.0e}"
    return f"{difference_text(difference)}{where}{bound}"
