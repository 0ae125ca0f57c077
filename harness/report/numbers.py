"""Numbers as a reader wants them: rounded to what they are worth, with their intervals."""

import math

from harness.stats.estimate import Estimate
from harness.training.measures import Measure

NOTHING = "–"
#: Below this a number is written with a power of ten.
_SMALLEST = 1e-4


def estimate(value: Estimate | None, digits: int | None = 1, unit: str = "", *, sign: bool = False) -> str:
    """``12.3 [10.1, 14.5] points``; without the interval where there is none.

    ``digits`` are those after the point; None: as many as make three significant ones of the mean, or of
    its interval where that is around 0.
    """
    if value is None:
        return NOTHING
    plus = "+" if sign else ""
    form = f"{plus},.{digits}f"
    if digits is None:
        size = (
            max(abs(end) for end in (value.value, value.low, value.high) if end is not None)
            if value.around(0.0)
            else abs(value.value)
        )
        small = 0 < size < _SMALLEST
        form = f"{plus}.2g" if small else f"{plus},.{_digits_after_point(size)}f"
    text = format(value.value, form)
    if value.low is not None and value.high is not None:
        text += f" [{value.low:{form}}, {value.high:{form}}]"
    return f"{text} {unit}".rstrip()


def _digits_after_point(size: float) -> int:
    return max(0, 2 - math.floor(math.log10(size))) if size else 1


def significant(value: float | None, digits: int = 3) -> str:
    """A number rounded to so many digits, never in powers of ten where it is large: ``494,000``."""
    if value is None:
        return NOTHING
    if abs(value) >= 10 ** (digits - 1):
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float) -> str:
    """``12 %``."""
    return f"{100 * share:.0f} %"


def score_digits(measure: Measure) -> int | None:
    """Digits after the point of a score in the measure's unit; see :func:`estimate`."""
    return 1 if measure.unit else None


def probability(p: float | None) -> str:
    """``p < 0.01``, the nearest of the customary bounds, or ``p = 0.12``."""
    if p is None:
        return ""
    for bound in (0.001, 0.01, 0.05):
        if p < bound:
            return f"p < {bound:g}"
    return f"p = {p:.2f}"


def seeds(n: int) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{n} seed" if n == 1 else f"{n} seeds"
