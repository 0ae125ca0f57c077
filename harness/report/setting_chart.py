"""The chart of the answer about settings: the test score of each, with its interval, on one axis."""

import math

from harness.analysis.comparison import Comparison
from harness.report.answer_parts import QUALITY_CELLS, AnswerChart, AnswerRow, Mark, Tick, percent_of_axis
from harness.report.chart_parts import Colours
from harness.report.numbers import NOTHING, estimate, score_digits, significant
from harness.report.table import Cell
from harness.report.tables import score_header
from harness.stats.estimate import Estimate

#: Room beyond the outermost intervals, as a share of what they span.
_MARGIN = 0.05
_MOST_TICKS = 4
_FACTORS = (1, 2, 5, 10)


def setting_chart(comparison: Comparison, colours: Colours) -> AnswerChart | None:
    """The test scores; None where nothing is compared or there are no scores."""
    known = [summary.quality for summary in comparison.summaries if summary.quality]
    if not comparison.pairs or not known:
        return None
    ends = [end for each in known for end in (each.value, each.low, each.high) if end is not None]
    room = _MARGIN * (max(ends) - min(ends)) or 1.0
    upper = comparison.measure.upper
    high = max(ends) + room if upper is None else min(max(ends) + room, upper)
    axis = _Axis(max(0.0, min(ends) - room), high)  # no impossible scores
    header = score_header(comparison.measure)
    rows = []
    for summary in comparison.summaries:
        pair, score = comparison.pair_of(summary), summary.quality
        quality = QUALITY_CELLS[pair.quality_verdict] if pair else Cell("reference", "muted")
        text = estimate(score, score_digits(comparison.measure)) if score else NOTHING
        mark = axis.mark(score) if score else None
        rows.append(AnswerRow(summary.name, colours[summary.name], mark, text, quality))
    return AnswerChart(header, header, axis.ticks(), rows)


class _Axis:
    """A linear axis from ``low`` to ``high``."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def _place(self, value: float) -> float:
        return percent_of_axis((value - self._low) / (self._high - self._low))

    def mark(self, value: Estimate) -> Mark:
        """Where an estimate and the ends of its interval stand."""
        low, high = (None if end is None else self._place(end) for end in (value.low, value.high))
        return Mark(self._place(value.value), low, high)

    def ticks(self) -> list[Tick]:
        """Round values, at most four."""
        span = self._high - self._low
        unit = 10.0 ** math.floor(math.log10(span / _MOST_TICKS))
        step = next(unit * factor for factor in _FACTORS if span / (unit * factor) <= _MOST_TICKS)
        first, last = math.ceil(self._low / step), math.floor(self._high / step)
        values = [step * number for number in range(first, last + 1)]
        return [Tick(self._place(value), significant(value), one=False) for value in values]
