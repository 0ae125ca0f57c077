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


#: How every ratio of times is to be read, wherever one is printed.
RATIO_LEGEND = (
    "Ratios are the time of a configuration relative to the reference: "
    "+ is slower, \N{MINUS SIGN} is faster. "
    "Brackets hold the 95 % confidence interval."
)
#: From this ratio on (or its inverse) a factor reads better than a percentage.
_FACTOR_FROM = 2.0


def time_ratio(ratio: Estimate | None) -> str:
    """A ratio of times, the one form that is printed everywhere.

    ``+7.1 % [5.9, 8.3]``; from a factor of two on ``2.4× slower [2.3, 2.5]`` or ``9.2× faster [8.7, 9.6]``.
    """
    if ratio is None:
        return NOTHING
    if ratio.value >= _FACTOR_FROM:
        return _factor(ratio, "slower")
    if 0 < ratio.value <= 1 / _FACTOR_FROM:
        return _factor(ratio.inverse(), "faster")
    return percent_change(ratio)


def _factor(ratio: Estimate, word: str) -> str:
    digits = 1 if ratio.value < 100 else 0  # noqa: PLR2004  three significant digits
    text = f"{ratio.value:,.{digits}f}× {word}"
    if ratio.low is None or ratio.high is None:
        return text
    return f"{text} [{ratio.low:,.{digits}f}, {ratio.high:,.{digits}f}]"


def percent_change(ratio: Estimate) -> str:
    """A ratio of any quantity as a change, ``+7.1 % [5.9, 8.3]``."""
    text = f"{_percent_points(ratio.value, sign=True)} %"
    if ratio.low is None or ratio.high is None:
        return text
    return f"{text} [{_percent_points(ratio.low)}, {_percent_points(ratio.high)}]"


def _percent_points(ratio: float, *, sign: bool = False) -> str:
    change = 100 * (ratio - 1)
    text = f"{abs(change):,.{0 if abs(change) >= 100 else 1}f}"  # noqa: PLR2004  as above
    if not float(text.replace(",", "")):
        return text
    if change < 0:
        return f"\N{MINUS SIGN}{text}"
    return f"+{text}" if sign else text


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
