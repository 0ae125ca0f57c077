"""Numbers as text: rounded to their precision, with their intervals. Minus is U+2212, as in ratios."""

import math
from collections.abc import Iterable, Sequence

from harness.core.machine.description import Machine
from harness.core.stats.estimate import Estimate
from harness.core.training.measures import Measure, Scores

NOTHING = "–"
#: Below this a number is written with a power of ten.
_SMALLEST = 1e-4


def estimate(value: Estimate | None, digits: int | None = 1, unit: str = "", *, sign: bool = False) -> str:
    """Write an estimate: ``12.3 [10.1, 14.5] points``; without the interval if there is none.

    ``digits`` is the number of digits after the decimal point. None gives three significant digits of the
    value, or of the largest end if the interval contains 0.
    """
    if value is None:
        return NOTHING
    form = f",.{digits}f"
    if digits is None:
        size = (
            max(abs(end) for end in (value.value, value.low, value.high) if end is not None)
            if value.around(0.0)
            else abs(value.value)
        )
        small = 0 < size < _SMALLEST
        form = ".2g" if small else f",.{_digits_after_point(size)}f"
    text = _signed(value.value, form, "+" if sign else "")
    if value.low is not None and value.high is not None:
        text += f" [{_signed(value.low, form)}, {_signed(value.high, form)}]"
    return f"{text} {unit}".rstrip()


def _signed(number: float, form: str, plus: str = "") -> str:
    """Write a number with its sign, unless it rounds to zero; ``plus`` is the sign of positive numbers."""
    text = format(abs(number), form)
    if not float(text.replace(",", "")):
        return text
    return f"\N{MINUS SIGN}{text}" if number < 0 else f"{plus}{text}"


def is_zero(text: str) -> bool:
    """Check that a number without an interval, as :func:`estimate` writes it, is rounded to zero."""
    return not text.strip("0.,")


#: Explains ratios of times; printed once in each text with ratios.
RATIO_LEGEND = (
    "Ratios are relative to the reference: +10 % or 2× slower takes more time, "
    "\N{MINUS SIGN}10 % or 2× faster takes less. Brackets: 95 % confidence interval."
)
_KIBI = 1024
#: Ratios from here on, and their inverses, are printed as factors.
_FACTOR_FROM = 2.0
#: Upper ends beyond this, in per cent or as a factor, carry no information.
_LARGEST_END = 999
_BEYOND = f"> {_LARGEST_END}"


def time_ratio(ratio: Estimate | None) -> str:
    """Write a ratio of times, in the one form that is printed everywhere.

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
    high = f"{ratio.high:,.{digits}f}" if ratio.high <= max(_LARGEST_END, ratio.value) else _BEYOND
    return f"{text} [{ratio.low:,.{digits}f}, {high}]"


def percent_change(ratio: Estimate) -> str:
    """Write a ratio of any quantity as a change: ``+7.1 % [5.9, 8.3]``."""
    text = f"{_percent_points(ratio.value, '+')} %"
    if ratio.low is None or ratio.high is None:
        return text
    high = _percent_points(ratio.high) if 100 * (ratio.high - 1) <= _LARGEST_END else _BEYOND
    return f"{text} [{_percent_points(ratio.low)}, {high}]"


def _percent_points(ratio: float, plus: str = "") -> str:
    change = 100 * (ratio - 1)
    return _signed(change, f",.{0 if abs(change) >= 100 else 1}f", plus)  # noqa: PLR2004  as above


def _digits_after_point(size: float) -> int:
    return max(0, 2 - math.floor(math.log10(size))) if size else 1


def significant(value: float | None, digits: int = 3) -> str:
    """Write ``digits`` significant digits of a number; large ones without powers of ten: ``494,000``."""
    if value is None:
        return NOTHING
    if abs(value) >= 10 ** (digits - 1):
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:.{digits}g}"


def deviation(value: float | None) -> str:
    """Write a relative deviation: ``1.2e-10``; None and a NaN are ``not finite``."""
    return f"{value:.1e}" if value is not None and math.isfinite(value) else "not finite"


def measured(value: Estimate, unit: str = "") -> str:
    """Write four significant digits, then the interval if there is one: ``3.214 ms [3.18, 3.25]``."""
    text = f"{significant(value.value, 4)} {unit}".rstrip()
    if value.low is None or value.high is None:
        return text
    return f"{text} [{significant(value.low, 4)}, {significant(value.high, 4)}]"


def percent(share: float) -> str:
    """Write a share in per cent: ``12 %``, ``1,206 %``."""
    return f"{100 * share:,.0f} %"


def score_digits(measure: Measure) -> int | None:
    """Return the digits after the decimal point of a score in the measure's unit; see :func:`estimate`."""
    return 1 if measure.unit == "points" else None


def score_unit(measure: Measure) -> str:
    """Return the unit of a score, ``%`` for accuracies; differences of scores have the measure's own unit."""
    return "%" if measure.unit == "points" else measure.unit


def with_unit(measure: Measure, prefix: str = "") -> str:
    """Name the measure with its unit, if it has one: ``test accuracy (%)``."""
    unit = score_unit(measure)
    return f"{prefix} {measure.name}{f' ({unit})' * bool(unit)}".strip()


def probability(p: float | None) -> str:
    """Write a p-value: ``p < 0.01``, the nearest customary bound, or ``p = 0.12``; empty for None."""
    if p is None:
        return ""
    for bound in (0.001, 0.01, 0.05):
        if p < bound:
            return f"p < {bound:g}"
    return f"p = {p:.2f}"


def counted(count: int, noun: str) -> str:
    """Write a count of things: ``1 pair``, ``5 pairs``."""
    return f"{count} {noun}{'s' * (count != 1)}"


def seeds(n: int) -> str:
    """Write a number of seeds: ``1 seed``, ``5 seeds``."""
    return counted(n, "seed")


def seeds_each(counts: Iterable[int]) -> str:
    """Write the numbers of seeds of several configurations: ``5 seeds``, ``3 to 5 seeds``."""
    *fewer, most = sorted(set(counts))
    return f"{fewer[0]} to {seeds(most)}" if fewer else seeds(most)


def size_text(size_bytes: int) -> str:
    """Write a size: ``512 B``, ``4.0 KiB``, ``1.2 GiB``."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < _KIBI:
            break
        size, unit = size / _KIBI, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


_SECONDS_SHOWN, _MINUTES_SHOWN = 99.5, 119.5


def about(seconds: float) -> str:
    """Write a duration: in seconds; in minutes from 100 s on; and with hours from 2 h on, ``2 h 5 min``."""
    if seconds < _SECONDS_SHOWN:
        return f"{seconds:.0f} s"
    if seconds < 60 * _MINUTES_SHOWN:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def capitalised(text: str) -> str:
    """Begin with a capital letter, and keep all others: ``Validation Fréchet distance``."""
    return f"{text[:1].upper()}{text[1:]}"


def listed(names: Sequence[str]) -> str:
    """Join names: ``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def first_of(names: Sequence[str], most: int) -> str:
    """Join the first ``most`` names and count the others: ``a, b and 3 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def machine_text(machine: Machine) -> str:
    """Describe a machine in one line: host, CPU, cores, memory and system."""
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    model = f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {machine.os}, {machine.libc}"
    return f"host {machine.host}, {model}" if machine.host else model


def score_text(measure: Measure, value: float) -> str:
    """Write a score in the unit of the measure: ``48.6 %``, ``0.0123``, ``1.88 nats/token``."""
    number = f"{value:.1f}" if measure.unit == "points" else significant(value)
    return f"{number} {score_unit(measure)}".rstrip()


def score_value(measure: Measure, scores: Scores | None) -> str:
    """Write the measure's score among ``scores`` as :func:`score_text`; a dash if there is none."""
    score = (scores or {}).get(measure.key)
    return NOTHING if score is None else score_text(measure, score * measure.factor)


#: Stands once where means are printed without intervals.
FEW_SEEDS_LEGEND = (
    "Fewer than 3 seeds have no interval: that of 2 would be 18 standard deviations wide and show nothing."
)
#: Marks every time of a run during which other programs used the machine.
BUSY = "(busy)"
BUSY_LEGEND = f"{BUSY}: other programs used the machine during these runs; the times are unreliable."


def busy_mark(text: str, *, disturbed: bool | None) -> str:
    """Mark a time, given as text, if its run was disturbed."""
    return f"{text} {BUSY}" if disturbed and text != NOTHING else text
