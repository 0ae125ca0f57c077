"""The log ratios of pairs, and the weight of an outlier among them.

On a shared machine a process is occasionally slow from start to end, by a tenth or by a half, in either
configuration. A plain mean follows such pairs. So a pair counts for no more than 1.35 standard deviations
from the middle of the others (Huber 1964), measured by the median deviation, which a few outliers do not
move. Over 60 sets of 8 to 37 pairs whose true ratio is known, on a two-core machine, this reduced the error
of the centre of 12 pairs from 0.87 % to 0.76 % (28 duels of ``cnn``) and from 1.8 % to 1.4 % (32 series of
gates, four tasks); if pairs are normal, it costs 5 % of them.

Within a pair the blocks in the middle are compared. A pause that falls into few blocks, such as a checkpoint
at every hundredth step, would thus be trimmed like a hiccup of the machine. If a few blocks are far from the
others in most pairs, all blocks count instead; and no slowdown is called small unless it is small over all
blocks. One pair may be left out of this rule, to allow for a second in which the machine stood still.

Whether all blocks count depends on the sizes alone, never on the signs. So under the null hypothesis signs
remain coin tosses.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.core.stats.estimate import Estimate
from harness.timing.engine.evidence import evidence_p_value
from harness.timing.engine.intervals import bootstrap_interval
from harness.timing.engine.record import BlockRecord, PairRecord

#: A pair counts if at least this share of its turns was undisturbed.
_FEWEST_TURNS_SHARE = 0.5
_TRIMMED_SHARE = 0.2


def log_ratio(pair: PairRecord, index: int, batch_sizes: list[int]) -> float | None:
    """Return the log ratio of time per sample of a pair to the reference (index 0).

    It is the trimmed mean over the turns, because the state of the machine drifts within a pair, and
    neighbours share it. A fifth of the turns is trimmed at each end, because a hiccup falls into one block:
    of mean, median, trimmed mean and ratio of medians the trimmed mean varied least between repeats of 24
    turns of equal configurations (1.9, 1.4, 1.2 and 2.3 %). None if disturbances left too few turns.
    """

    def per_sample(block: BlockRecord) -> float:
        return math.log(block.seconds / (block.steps * batch_sizes[block.configuration]))

    return _over_turns(pair, index, lambda own, reference: per_sample(own) - per_sample(reference))


def whole_log_ratio(pair: PairRecord, index: int, batch_sizes: list[int]) -> float | None:
    """Return the log ratio of the total time of the turns: no block is trimmed, however long it was.

    Only this shows events in few blocks of a configuration that recur, such as a checkpoint at every
    hundredth step.
    """
    kept = _undisturbed_turns(pair)
    if kept is None:
        return None
    per_sample = [
        math.fsum(turn[own].seconds for turn in kept)
        / (sum(turn[own].steps for turn in kept) * batch_sizes[own])
        for own in (index, 0)
    ]
    return math.log(per_sample[0] / per_sample[1])


def control_log_ratio(pair: PairRecord, index: int) -> float | None:
    """Return the log ratio of the control's time before the blocks: the state of the machine."""
    return _over_turns(
        pair, index, lambda own, reference: math.log(own.control_seconds / reference.control_seconds)
    )


def _over_turns(
    pair: PairRecord, index: int, value: Callable[[BlockRecord, BlockRecord], float]
) -> float | None:
    """Return the trimmed mean over turns of ``value`` of the block of ``index`` and that of the reference."""
    kept = _undisturbed_turns(pair)
    if kept is None:
        return None
    values, cut = sorted(value(turn[index], turn[0]) for turn in kept), int(_TRIMMED_SHARE * len(kept))
    return statistics.fmean(values[cut : len(values) - cut])


def _undisturbed_turns(pair: PairRecord) -> list[dict[int, BlockRecord]] | None:
    """Return the blocks of each turn, by configuration; None if too few turns are left.

    A turn with a disturbed block is dropped for all configurations.
    """
    turns: dict[int, dict[int, BlockRecord]] = {}
    for block in pair.blocks:
        turns.setdefault(block.turn, {})[block.configuration] = block
    kept = [turn for turn in turns.values() if not any(block.disturbed for block in turn.values())]
    return kept if len(kept) >= max(1, _FEWEST_TURNS_SHARE * len(turns)) else None


Array = npt.NDArray[np.float64]

#: In median distances: 1.345 standard deviations of normal pairs, Huber's own choice.
_FENCE = 2.0
#: A few blocks are far from the others if counting all of them would move most pairs by this. The machine
#: itself moved the middle one of 4 to 30 pairs by 0.5 to 2.7 % (12 duels of ``cnn``, gates of four tasks).
_FAR_OFF = 0.04
#: The least distance from a limit that bets on being within it expect, as a share of the limit. With 1 a loss
#: of 3 % passed a limit of 5 % in 59 of 100 simulated gates on a busy machine, with 0.5 in 66.
WITHIN_SHARE = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class Ratios:
    """Log ratios ``(pairs,)`` of the pairs that were not lost; ``fenced`` if outliers are down-weighted.

    If pairs have blocks, ``middle`` is over the blocks in the middle and ``whole`` over all blocks.
    """

    middle: Array
    fenced: bool = False
    whole: Array | None = None

    @property
    def uneven(self) -> bool:
        """True if all blocks count, because a few are far from the others in most pairs."""
        if self.whole is None or not len(self.whole):
            return False
        return bool(np.median(np.abs(self.whole - self.middle)) > _FAR_OFF)

    @property
    def logs(self) -> Array:
        """The log ratios that are judged."""
        return self.over_blocks(all_of_them=self.uneven)

    def over_blocks(self, *, all_of_them: bool) -> Array:
        """Return the log ratios over all blocks of a pair, or over those in the middle."""
        return self.middle if self.whole is None or not all_of_them else self.whole

    @property
    def weight(self) -> float:
        """The effective number of pairs: a pair whose distance is cut to a half counts half."""
        off = self.logs - np.median(self.logs) if len(self.logs) else self.logs
        kept, whole = np.abs(_cut(off) if self.fenced else off), np.abs(off)
        return float(np.divide(kept, whole, out=np.ones_like(whole), where=whole > 0).sum())

    @property
    def values(self) -> Array:
        """``(pairs,)`` values whose mean is the centre and whose deviation is the spread.

        Unfenced, these are the log ratios. Fenced, they come from Huber's M-estimator in one Newton step from
        the median: the contribution of each pair to the centre (its influence; Huber 1981, section 6.3).
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
        """Further means that must be small where a slowdown is called small; none without pairs.

        The first counts slow processes in full; the second is over all blocks of all pairs but the farthest.
        Either may be the slowdown.
        """
        if not len(self.logs):
            return []
        means = [float(self.logs.mean())]
        if self.whole is not None and len(self.whole) > 1:
            farthest = np.argmax(np.abs(self.whole - np.median(self.whole)))
            means.append(float(np.delete(self.whole, farthest).mean()))
        return means

    @property
    def contradicted(self) -> bool:
        """True if the mean over all blocks of all pairs but the farthest has another sign than the centre.

        A configuration that is faster between pauses and slower with them must not be called faster.
        """
        over_all = self.cautious_means[1:]
        return any(mean * self.mean < 0 for mean in over_all)

    @property
    def spread(self) -> float:
        """The standard error of the centre times the square root of the pairs; unfenced, their deviation."""
        return float(self.values.std(ddof=1))

    @property
    def ratio(self) -> Estimate | None:
        """The ratio at the centre with its 95 % interval; None without pairs.

        See :func:`harness.timing.engine.intervals.bootstrap_interval`.
        """
        return bootstrap_interval(self.values).exp() if len(self.logs) else None

    def first(self, pairs: int) -> "Ratios":
        """Return the ratios of the first ``pairs`` pairs, as they were when there were no more."""
        return self.changed(lambda logs: logs[:pairs])

    def changed(self, change: Callable[[Array], Array]) -> "Ratios":
        """Return the ratios whose logarithms are all changed alike."""
        whole = None if self.whole is None else change(self.whole)
        return Ratios(change(self.middle), self.fenced, whole)

    def within_p_value(self, limit: float) -> float:
        """Return the p-value of the test that the ratios centre below ``limit``, at least by half of it.

        Valid at any number of pairs. 1 if any of the :attr:`cautious_means` is beyond the limit.
        """
        means = self.cautious_means
        return (
            1.0
            if not means or max(means) >= limit
            else evidence_p_value(limit - self.logs, abs(limit) * WITHIN_SHARE)
        )

    def same_p_value(self, limit: float) -> float:
        """Return the p-value of the test that the ratios centre between ``-limit`` and ``limit``."""
        mirrored = self.changed(np.negative)
        return max(self.within_p_value(limit), mirrored.within_p_value(limit))

    def difference_p_value(self, least: float) -> float:
        """Return the p-value of the two-sided test that the ratios do not centre on 0, at least by ``least``.

        It is twice that for the side on which the centre is.
        """
        sign = 1 if self.mean > 0 else -1
        return min(1.0, 2 * evidence_p_value(sign * self.logs, least))


def _cut(off: Array) -> Array:
    """Return distances ``(pairs,)``, none beyond the fence; if most are 0 there is no fence."""
    fence = _FENCE * np.median(np.abs(off)) if len(off) else 0.0
    return np.clip(off, -fence, fence) if fence > 0 else off


def step_ratios(pairs: Iterable[PairRecord], index: int, batch_sizes: list[int]) -> Ratios:
    """Return the ratios of the time per sample, ``index`` over the reference, without lost pairs."""
    pairs = list(pairs)
    middle, whole = (
        np.array([log for pair in pairs if (log := of_pair(pair, index, batch_sizes)) is not None], float)
        for of_pair in (log_ratio, whole_log_ratio)
    )
    return Ratios(middle, fenced=True, whole=whole)
