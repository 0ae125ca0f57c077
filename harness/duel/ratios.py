"""The log ratios of pairs, and how far one that is off the others may count.

On a shared machine now and then a process is slow from its start to its end, by a tenth or by a half, on
either side alike. A plain mean follows such pairs wherever they fall. So a pair counts for no more than
1.35 standard deviations from the middle of the others (Huber 1964), judged by the median deviation, which
a few outliers do not move. Over 60 sets of 8 to 37 pairs whose true ratio is known, on a two-core machine,
this made the error of the centre of 12 pairs 0.76 % instead of 0.87 % (28 duels of ``cnn``) and 1.4 % instead
of 1.8 % (32 series of gates, four tasks); where pairs are normal it costs a twentieth of them.

Within a pair the blocks in the middle are what is compared, and so a pause that falls into few blocks, as of
every hundredth step, would be trimmed away with the machine's. Where a few blocks are far off the others in
most pairs, all of them count instead; and no loss is called small that is not so over all blocks. One pair
may be left out of that, for a second in which the machine stood still.

Distances from the tested ratio are cut off at a fence, and whether all blocks count is decided, by sizes
alone: signs have no say in either. So under the null hypothesis signs are coin tosses as before, and the
sign-flip test stays exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.duel.pairs import log_ratio, whole_log_ratio
from harness.duel.record import PairRecord
from harness.stats.estimate import Estimate
from harness.stats.sign_flip import Alternative, bootstrap_interval, p_value

Array = npt.NDArray[np.float64]

#: Of the median distance: 1.345 standard deviations of normal pairs, Huber's own choice.
_FENCE = 2.0
#: A few blocks are far off where most pairs would be moved by so much if all counted. The machine itself
#: moved the middle one of 4 to 30 pairs by 0.5 to 2.7 % (12 duels of ``cnn``, gates of four tasks).
_FAR_OFF = 0.04


@dataclass(frozen=True, eq=False, slots=True)
class Ratios:
    """Log ratios ``(pairs,)`` of the pairs that tell; ``fenced`` where outliers may count so far only.

    Where a pair has blocks, ``middle`` is over those in the middle and ``whole`` over all of them.
    """

    middle: Array
    fenced: bool = False
    whole: Array | None = None

    @property
    def uneven(self) -> bool:
        """Whether all blocks count, because a few are far off the others in most pairs."""
        if self.whole is None or not len(self.whole):
            return False
        return bool(np.median(np.abs(self.whole - self.middle)) > _FAR_OFF)

    @property
    def logs(self) -> Array:
        """What is judged."""
        return self.over_blocks(all_of_them=self.uneven)

    def over_blocks(self, *, all_of_them: bool) -> Array:
        """The log ratios over all blocks of a pair, or over those in the middle."""
        return self.middle if self.whole is None or not all_of_them else self.whole

    @property
    def weight(self) -> float:
        """What all pairs count as together, where one whose distance is cut to a half counts half."""
        off = self.logs - np.median(self.logs) if len(self.logs) else self.logs
        kept, whole = np.abs(_cut(off) if self.fenced else off), np.abs(off)
        return float(np.divide(kept, whole, out=np.ones_like(whole), where=whole > 0).sum())

    @property
    def values(self) -> Array:
        """``(pairs,)`` values whose mean is the centre and whose deviation is the spread.

        Unfenced, the log ratios. Fenced, those of Huber's M-estimator in one Newton step from the median:
        what each pair adds to the centre (its influence; Huber 1981, section 6.3).
        """
        if not self.fenced or not len(self.logs):
            return self.logs
        median = np.median(self.logs)
        off = self.logs - median
        cut = _cut(off)
        values: Array = median + cut / np.mean(cut == off)
        return values

    @property
    def mean(self) -> float:
        """The centre of the pairs: the mean, or Huber's."""
        return float(self.values.mean())

    @property
    def cautious_means(self) -> list[float]:
        """What must be small too where a loss is called small; none without pairs.

        The means with slow processes in full and, but for the pair that is farthest off, over all blocks:
        either may be the loss.
        """
        if not len(self.logs):
            return []
        means = [float(self.logs.mean())]
        if self.whole is not None and len(self.whole) > 1:
            farthest = np.argmax(np.abs(self.whole - np.median(self.whole)))
            means.append(float(np.delete(self.whole, farthest).mean()))
        return means

    @property
    def turned_round(self) -> bool:
        """Whether over all blocks, but for the pair farthest off, the mean has another sign than the centre.

        A side that is faster between pauses and slower with them must not be called faster.
        """
        over_all = self.cautious_means[1:]
        return any(mean * self.mean < 0 for mean in over_all)

    @property
    def spread(self) -> float:
        """The standard error of the centre times the root of the pairs: unfenced, their deviation."""
        return float(self.values.std(ddof=1))

    def first(self, pairs: int) -> "Ratios":
        """Those of the first pairs, as they were when there were no more."""
        return Ratios(self.middle[:pairs], self.fenced, None if self.whole is None else self.whole[:pairs])

    def p_value(self, alternative: Alternative = "two-sided", shift: float = 0.0) -> float:
        """Of the sign-flip test that they centre on ``shift``; see :mod:`harness.stats.sign_flip`."""
        off = self.logs - shift
        return p_value(_cut(off) if self.fenced else off, alternative)

    def cautious_p_value(self, alternative: Alternative, shift: float) -> float:
        """The same, or 1 where any of the :attr:`cautious_means` is not on that side of ``shift``."""
        means = self.cautious_means
        beyond = not means or (max(means) >= shift if alternative == "less" else min(means) <= shift)
        return 1.0 if beyond else self.p_value(alternative, shift)

    @property
    def ratio(self) -> Estimate | None:
        """The ratio at the centre with its 95 % interval; None without pairs.

        See :func:`harness.stats.sign_flip.bootstrap_interval`.
        """
        return bootstrap_interval(self.values).exp() if len(self.logs) else None


def _cut(off: Array) -> Array:
    """Distances ``(pairs,)``, none beyond the fence; where most are 0 there is none."""
    fence = _FENCE * np.median(np.abs(off)) if len(off) else 0.0
    return np.clip(off, -fence, fence) if fence > 0 else off


def step_ratios(pairs: Iterable[PairRecord], side: int, batch_sizes: list[int]) -> Ratios:
    """Of time per sample, ``side`` over side 0, in the pairs that were not lost to disturbances."""
    pairs = list(pairs)
    middle, whole = (
        np.array([ratio for pair in pairs if (ratio := told(pair, side, batch_sizes)) is not None], float)
        for told in (log_ratio, whole_log_ratio)
    )
    return Ratios(middle, fenced=True, whole=whole)
