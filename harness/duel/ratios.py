"""The log ratios of pairs, and what each counts: less, the slower the machine was while it was made.

A shared machine has spells in which all takes longer, and in them equal processes differ more: over 238
pairs of known truth the log ratios of the fastest quarter spread by 1.6 %, of the next ones by 2.0 and
3.2 %, of the slowest by 5.0 %. Weights that follow this halve the variance of a mean of 15 pairs.

A weight is made of the times of both sides alike and does not know which is which. So under the null
hypothesis the signs are coin tosses as before, and the sign-flip test stays exact.
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

#: Pairs up to this quantile of the level count in full, so that no single lucky one outweighs the others.
_FULL_QUANTILE = 0.25
#: A pair whose steps took longer than those by this logarithm counts half. Fitted to the spreads above.
_HALF_AT = 0.075


@dataclass(frozen=True, eq=False, slots=True)
class Ratios:
    """Log ratios ``(pairs,)`` of the pairs that tell, and how slow all was in each.

    ``levels`` ``(pairs,)`` are mean logarithms of both sides' seconds a step; equal ones give equal weights.
    """

    logs: Array
    levels: Array

    @property
    def weights(self) -> Array:
        """What each pair counts, above 0 and at most 1."""
        if not len(self.levels):
            return np.ones(0)
        beyond = np.maximum(0.0, self.levels - np.quantile(self.levels, _FULL_QUANTILE))
        weights: Array = 1.0 / (1.0 + np.square(beyond / _HALF_AT))
        return weights

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return float(weighted_mean(self.logs, self.weights)[0])

    @property
    def spread(self) -> float:
        """The standard error of the mean times the root of the pairs: with equal weights their deviation."""
        return math.sqrt(len(self.logs)) * float(weighted_mean(self.logs, self.weights)[1])

    @property
    def effective_pairs(self) -> float:
        """As many pairs of equal weight would know as much (Kish 1965)."""
        weights = self.weights
        return float(weights.sum() ** 2 / np.square(weights).sum()) if len(weights) else 0.0

    def first(self, pairs: int) -> "Ratios":
        """Those of the first pairs, weighted as they were when there were no more."""
        return Ratios(self.logs[:pairs], self.levels[:pairs])

    def p_value(self, alternative: Alternative = "two-sided", shift: float = 0.0) -> float:
        """Of the sign-flip test that they centre on ``shift``; see :func:`harness.duel.sign_flip.p_value`."""
        return p_value(self.logs, alternative, shift, self.weights)

    def interval(self) -> Interval | None:
        """The 95 % interval of the mean; see :func:`harness.duel.sign_flip.bootstrap_interval`."""
        return bootstrap_interval(self.logs, weights=self.weights)


def step_ratios(pairs: Iterable[PairRecord], side: int, batch_sizes: list[int]) -> Ratios:
    """Of time per sample, ``side`` over side 0, in the pairs that were not lost to disturbances."""
    told = [(log_ratio(pair, side, batch_sizes), log_level(pair, side)) for pair in pairs]
    kept = [(ratio, level) for ratio, level in told if ratio is not None and level is not None]
    logs, levels = np.array(kept, float).reshape(-1, 2).T
    return Ratios(logs, levels)
