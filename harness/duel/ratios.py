"""The log ratios of pairs, and what each counts: less, the slower the machine was while it was made.

A shared machine has spells in which all takes longer, and in them equal processes differ more. How slow it
was for a pair is told by the faster of its two processes: one that is slow by itself tells of its own luck,
and counts in full. Over 280 pairs of known truth on a two-core machine this made the standard error of the
mean of 15 pairs 0.69 % instead of 0.87 %.

Such a weight does not know which side was faster. So the signs are coin tosses as before wherever the sides
are exchangeable, as they are where nothing differs but by a constant, and the sign-flip test stays exact.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.duel.pairs import log_level, log_ratio
from harness.duel.record import PairRecord
from harness.duel.sign_flip import Alternative, Interval, bootstrap_interval, p_value, weighted_mean

Array = npt.NDArray[np.float64]

#: Pairs up to this quantile of slowness count in full, so that no single lucky one outweighs the others.
_FULL_QUANTILE = 0.25
#: A pair whose steps took longer than those by this logarithm counts half. From 0.05 to 0.1 all do as well.
_HALF_AT = 0.075


@dataclass(frozen=True, eq=False, slots=True)
class Ratios:
    """Log ratios ``(pairs,)`` of the pairs that tell, and how slow all was in each.

    ``levels`` ``(pairs,)`` are mean logarithms of both sides' seconds a step. Without them all count alike.
    """

    logs: Array
    levels: Array | None = None

    def weights(self, shift: float | None = None) -> Array:
        """What each pair counts, above 0 and at most 1, where they centre on ``shift`` (or their median)."""
        if self.levels is None or not len(self.logs):
            return np.ones(len(self.logs))
        centre = float(np.median(self.logs)) if shift is None else shift
        fastest = self.levels - np.abs(self.logs - centre) / 2  # of both sides, brought to the same pace
        beyond = np.maximum(0.0, fastest - np.quantile(fastest, _FULL_QUANTILE))
        weights: Array = 1.0 / (1.0 + np.square(beyond / _HALF_AT))
        return weights

    @property
    def weight(self) -> float:
        """Of all pairs together, in pairs of full weight."""
        return float(self.weights().sum())

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return float(weighted_mean(self.logs, self.weights())[0])

    @property
    def spread(self) -> float:
        """The standard error of the mean times the root of the pairs: with equal weights their deviation."""
        return math.sqrt(len(self.logs)) * float(weighted_mean(self.logs, self.weights())[1])

    def first(self, pairs: int) -> "Ratios":
        """Those of the first pairs, weighted as they were when there were no more."""
        return Ratios(self.logs[:pairs], None if self.levels is None else self.levels[:pairs])

    def p_value(self, alternative: Alternative = "two-sided", shift: float = 0.0) -> float:
        """Of the sign-flip test that they centre on ``shift``; see :func:`harness.duel.sign_flip.p_value`."""
        return p_value(self.logs, alternative, shift, self.weights(shift))

    def cautious_p_value(self, alternative: Alternative, shift: float) -> float:
        """The larger of this and of the test in which all pairs count alike.

        That a loss is small must be shown for slow spells too, in which it may be another one.
        """
        return max(self.p_value(alternative, shift), p_value(self.logs, alternative, shift))

    def interval(self) -> Interval | None:
        """The 95 % interval of the mean; see :func:`harness.duel.sign_flip.bootstrap_interval`."""
        return bootstrap_interval(self.logs, weights=self.weights())


def step_ratios(pairs: Iterable[PairRecord], side: int, batch_sizes: list[int]) -> Ratios:
    """Of time per sample, ``side`` over side 0, in the pairs that were not lost to disturbances."""
    told = [(log_ratio(pair, side, batch_sizes), log_level(pair, side)) for pair in pairs]
    kept = [(ratio, level) for ratio, level in told if ratio is not None and level is not None]
    logs, levels = np.array(kept, float).reshape(-1, 2).T
    return Ratios(logs, levels)
