"""Findings about the work of two steps, as data and in words; readers of records import this alone."""

from typing import Literal

import msgspec

#: The values of a step: for each name (empty for a single value) the shape and the numbers. None: not finite.
Values = dict[str, tuple[list[int], list[float | None]]]
Outcome = Literal["same", "differs", "not deterministic", "not returned", "not asked"]


class ValueDiffers(msgspec.Struct, frozen=True, kw_only=True):
    """The first value that differs: of the call with this number, from 1, or of the state after the calls.

    ``base`` and ``head`` are the numbers that are farthest apart; None: not finite, or of another shape.
    """

    call: int
    is_state: bool
    name: str
    base: float | None
    head: float | None
    deviation: float | None
    """Relative. None where one of them is not finite or has another shape."""


class WorkComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The extent of a comparison of work, and its result.

    ``spread`` is the largest deviation of base from itself.
    """

    outcome: Outcome
    calls: int = 0
    spread: float | None = None
    other_versions: bool = False
    difference: ValueDiffers | None = None
    states: bool = False
    """States were compared too."""
    shared_code: bool = False
    """Only the file of the factory was taken from each checkout; its imports are the same."""


def difference_text(difference: ValueDiffers) -> str:
    """Return ``the values differ from call 3 on, by 3.0e-05: 0.71 and 0.72``."""
    name = f" {difference.name}" if difference.name else ""
    if difference.is_state:
        where = f"the state{name} differs after {difference.call} calls"
    else:
        where = f"the values{name} differ from call {difference.call} on"
    if difference.deviation is not None:
        return f"{where}, by {difference.deviation:.1e}: {difference.base:.9g} and {difference.head:.9g}"
    if difference.base is None and difference.head is None:
        return f"{where}: their names or shapes are not the same"
    numbers = ["not finite" if each is None else f"{each:.9g}" for each in (difference.base, difference.head)]
    return f"{where}: {' and '.join(numbers)}"


def comparison_text(comparison: WorkComparison) -> str:
    """Return a clause that says which values are equal, and what was not compared."""
    match comparison.outcome:
        case "same":
            rest = " and the state after them" if comparison.states else ""
            text = f"the values of the first {comparison.calls} calls{rest} are equal"
            if comparison.other_versions:
                text += ", to the looser tolerance of other versions"
            return text
        case "differs":
            return "" if comparison.difference is None else difference_text(comparison.difference)
        case "not deterministic":
            size = "" if comparison.spread is None else f" (by {comparison.spread:.1e})"
            return f"the step is not deterministic: two processes of the reference differ{size}; not compared"
        case "not returned":
            return "work not compared: the step returns no value"
        case "not asked":
            return "work not compared, as asked: values may differ"
