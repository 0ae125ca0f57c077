"""Change points in a series of ratios: where a level steps, or where one ratio is off, and by how much.

Noise is taken for normal with a known standard deviation a ratio, so a step is worth telling when it
lowers the sum of squares, in units of that noise, by more than a penalty (PELT: Killick, Fearnhead and
Eckley 2012, with the l2 cost). The penalty for each step is the quantile of chi-square with one degree
of freedom that none of ``n`` places exceeds by chance in 95 of 100 series (Bonferroni): 9.9 for 30
ratios, between BIC's 2 log n and 3 log n.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: The chance that a series without any step shows one.
FALSE_ALARMS = 0.05
_DEVIATES = 1.959964
#: Ratios without which their scatter says nothing of their noise.
_FEWEST_FOR_SCATTER = 8
#: From a median absolute deviation to a standard deviation, where values are normal.
_MAD_SCALE = 1.4826


class Ratio(NamedTuple):
    """The logarithm of one gate's ratio; its 95 % interval where it has one, and the pairs behind it."""

    log: float
    low: float | None
    high: float | None
    pairs: int


class Step(NamedTuple):
    """A change of level at place ``at`` of the series, in logarithms, with its 95 % interval."""

    at: int
    change: float
    low: float
    high: float


class Trend(NamedTuple):
    """The steps of a series, the level at each of its places, and where it stands in the end.

    ``total`` is the level after the last ratio over that of the start, in logarithms, ``low`` to ``high``
    its 95 % interval; ``noise`` the standard deviation of each log ratio.
    """

    steps: list[Step]
    levels: Array
    total: float
    low: float
    high: float
    noise: Array


def penalty(n: int) -> float:
    """What each step must lower the sum of squares by."""
    from scipy.stats import chi2

    return float(chi2.isf(FALSE_ALARMS / n, 1))


def noise_of(ratios: Sequence[Ratio], scatter: Array, smallest: float) -> Array | None:
    """The standard deviation of each log ratio, or None where too little is known to say.

    That of a single pair is the root mean square over the ratios that have an interval; a ratio's own is
    that over the root of its pairs, so that ratios of few pairs, which have none, get theirs from the
    others. Where the ratios scatter more than their intervals say, as they do when process and machine
    change from gate to gate, the scatter counts. ``scatter`` are deviations that have the noise of one
    ratio each, but for steps; ``smallest`` bounds it from below.
    """
    roots = np.sqrt([max(1, ratio.pairs) for ratio in ratios])
    told = [
        (ratio.high - ratio.low) / (2 * _DEVIATES) * root
        for ratio, root in zip(ratios, roots, strict=True)
        if ratio.low is not None and ratio.high is not None
    ]
    known = [math.sqrt(float(np.mean(np.square(told))))] if told else []
    if len(ratios) >= _FEWEST_FOR_SCATTER:
        known.append(_MAD_SCALE * float(np.median(np.abs(scatter))))
    if not known:
        return None
    return np.maximum(max(known) / roots, smallest)


def level_trend(ratios: Sequence[Ratio], smallest: float) -> Trend | None:
    """Of ratios against one fixed base: each is the level itself, so that a slip is a step that stays."""
    logs, roots = _logs(ratios), np.sqrt([max(1, ratio.pairs) for ratio in ratios])
    # A difference of neighbours has the noise of both; this brings it to that of a single pair.
    scatter = np.diff(logs) / np.sqrt(1 / roots[1:] ** 2 + 1 / roots[:-1] ** 2)
    noise = noise_of(ratios, scatter, smallest)
    if noise is None:
        return None
    places = _change_points(logs, noise)
    segments = [slice(start, end) for start, end in zip([0, *places], [*places, len(logs)], strict=True)]
    weights = 1 / noise**2
    means = [float(np.average(logs[one], weights=weights[one])) for one in segments]
    variances = [1 / float(weights[one].sum()) for one in segments]
    steps = [
        _step(at, means[n + 1] - means[n], math.sqrt(variances[n] + variances[n + 1]))
        for n, at in enumerate(places)
    ]
    levels = np.repeat(means, [one.stop - one.start for one in segments])
    return Trend(steps, levels, *_ends(means[-1], math.sqrt(variances[-1])), noise)


def chained_trend(ratios: Sequence[Ratio], smallest: float) -> Trend | None:
    """Of ratios each against the one before: a slip is one ratio that is off, and the level their product.

    The product's noise is a random walk, in which no method finds a step better than in the one ratio
    where it happened; so each ratio is held against the same penalty by itself.
    """
    logs, roots = _logs(ratios), np.sqrt([max(1, ratio.pairs) for ratio in ratios])
    noise = noise_of(ratios, logs * roots, smallest)
    if noise is None:
        return None
    most = math.sqrt(penalty(len(logs)))
    places = np.flatnonzero(np.abs(logs) > most * noise)
    steps = [_step(int(at), float(logs[at]), float(noise[at])) for at in places]
    total, error = float(logs.sum()), math.sqrt(float(np.square(noise).sum()))
    return Trend(steps, np.cumsum(logs), *_ends(total, error), noise)


def _logs(ratios: Sequence[Ratio]) -> Array:
    return np.array([ratio.log for ratio in ratios])


def _step(at: int, change: float, error: float) -> Step:
    return Step(at, *_ends(change, error))


def _ends(mean: float, error: float) -> tuple[float, float, float]:
    return mean, mean - _DEVIATES * error, mean + _DEVIATES * error


def _change_points(logs: Array, noise: Array) -> list[int]:
    """The first place of each new level.

    Raises:
        ImportError: ruptures is not installed.
    """
    import ruptures

    if len(logs) < 2:  # noqa: PLR2004  one ratio has no step in it
        return []
    search = ruptures.Pelt(custom_cost=_weighted_l2(noise), min_size=1, jump=1)
    ends: list[int] = search.fit_predict(logs[:, None], pen=penalty(len(logs)))
    return ends[:-1]


def _weighted_l2(noise: Array) -> Any:
    """The cost of a segment: its squares about its weighted mean, in units of the noise."""
    from ruptures.base import BaseCost

    class WeightedL2(BaseCost):  # type: ignore[misc]
        model = "weighted l2"
        min_size = 1

        def fit(self, signal: Array) -> "WeightedL2":
            self.signal = signal
            weights, values = 1 / noise**2, signal[:, 0]
            terms = (weights, weights * values, weights * values**2)
            self.sums = np.array([np.concatenate([[0.0], np.cumsum(term)]) for term in terms])
            return self

        def error(self, start: int, end: int) -> float:
            weight, first, second = self.sums[:, end] - self.sums[:, start]
            return float(second - first**2 / weight)

    return WeightedL2()
