"""Step times relative to the fastest configuration, and the logarithmic axis that they are drawn on."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from harness.analysis.comparison import Comparison, PairComparison, QualityVerdict
from harness.stats.estimate import Estimate

#: Room beyond the outermost intervals, as a share of the axis.
_MARGIN = 0.05
#: The axis spans at least a change of 10 %, so that equal configurations look equal.
_NARROWEST = math.log(1.1)
#: Candidates for ticks, the most important first.
_TICKS = ((1,), (10, 100, 1000), (2, 5, 20, 50, 200, 500), (1.5, 3), (1.2, 1.1, 1.05, 1.3), (1.02, 1.01))
#: Smallest distance between two ticks, as a share of the axis.
_TICK_DISTANCE = 0.26
#: From here on a tick is a factor, below it a percentage, as in the printed form of a ratio.
_FACTOR_FROM = 2.0


class RelativeTime(NamedTuple):
    """The step time of a configuration divided by that of the reference, and how its quality compares.

    The reference itself has the ratio 1 and no verdict. A ratio of unreliable times is None.
    """

    configuration: str
    ratio: Estimate | None
    quality: QualityVerdict | None


@dataclass(frozen=True, slots=True)
class RelativeTimes:
    """Every configuration of a comparison, the reference first; ``low`` and ``high`` are the axis's ends.

    The reference is the fastest by its mean, so only the ends of intervals are below 1.
    """

    rows: list[RelativeTime]
    low: float
    high: float

    def place(self, ratio: float) -> float:
        """Where a ratio stands on the axis: 0 at its low end, 1 at its high end."""
        return math.log(ratio / self.low) / math.log(self.high / self.low)

    @property
    def ticks(self) -> dict[float, str]:
        """Ratios to be marked on the axis, with their labels, in ascending order."""
        chosen: list[float] = []
        for level in _TICKS:
            for tick in level:
                far = all(abs(self.place(tick) - self.place(other)) >= _TICK_DISTANCE for other in chosen)
                if self.low <= tick <= self.high and far:
                    chosen.append(tick)
        factors = self.high > _FACTOR_FROM
        return {tick: _label(tick, factors=factors) for tick in sorted(chosen)}


def relative_times(comparison: Comparison) -> RelativeTimes | None:
    """The configurations relative to the fastest; None of settings, or where no times can be compared."""
    if comparison.group.is_of_settings or all(
        pair.speed_verdict == "unreliable" for pair in comparison.pairs
    ):
        return None
    reference = comparison.pairs[0].reference
    seeds = len(reference.configuration.runs)
    rows = [RelativeTime(reference.name, Estimate(1.0, None, None, seeds), None)]
    rows += [
        RelativeTime(pair.other.name, _reliable_ratio(pair), pair.quality_verdict)
        for pair in comparison.pairs
    ]
    ends = [
        end
        for row in rows
        if row.ratio is not None
        for end in (row.ratio.value, row.ratio.low, row.ratio.high)
        if end is not None
    ]
    low, high = math.log(min(ends)), math.log(max(ends))
    high = max(high, low + _NARROWEST)
    room = _MARGIN * (high - low)
    return RelativeTimes(rows, math.exp(low - room), math.exp(high + room))


def _reliable_ratio(pair: PairComparison) -> Estimate | None:
    return None if pair.speed_verdict == "unreliable" else pair.ratio


def _label(ratio: float, *, factors: bool) -> str:
    """``2×``, ``+20 %``; on an axis of factors 1 is ``1×``, else ``0 %``."""
    if ratio >= _FACTOR_FROM or (factors and ratio == 1):
        return f"{ratio:g}×"
    change = round(100 * (ratio - 1))
    return f"{change:+d} %" if change else "0 %"
