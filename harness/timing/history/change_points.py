"""Change points in a series of ratios against one base: their places and sizes.

Noise is assumed normal with a known standard deviation for each ratio. A step is reported if it lowers the
sum of squares, in units of that noise, by more than a penalty (PELT: Killick, Fearnhead and Eckley 2012, with
the l2 cost). The penalty of each step is the quantile of chi-square with one degree of freedom that none of
``n`` places exceeds by chance in 95 of 100 series (Bonferroni): 9.9 for 30 ratios, between BIC's 2 log n and
3 log n.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core.stats.estimate import Estimate

Array = npt.NDArray[np.float64]

#: The chance that a series without any step shows one.
FALSE_ALARMS = 0.05
_DEVIATES = 1.959964
#: With fewer ratios their scatter is no estimate of their noise.
_FEWEST_FOR_SCATTER = 8
#: The standard deviation of normal values over their median absolute deviation.
_MAD_SCALE = 1.4826
#: Efficiency of the median absolute deviation relative to the standard deviation.
_MAD_EFFICIENCY = 0.37


class Ratio(NamedTuple):
    """The logarithm of one gate's ratio, its number of pairs, and the standard deviation between them.

    ``spread`` is None for fewer than two pairs.
    """

    log: float
    pairs: int
    spread: float | None


class Step(NamedTuple):
    """A change of level at place ``at`` of the series: the ratio of the new level to the old one."""

    at: int
    change: Estimate


class Trend(NamedTuple):
    """The steps of a series, the log level at each of its places, and the level reached at its end.

    ``total`` is the ratio of the last level to the base; ``noise`` the standard deviation of each log ratio,
    and ``errors`` the standard error of the level at its place. ``first`` is the step from the base to the
    first level; None if it may be noise.
    """

    steps: list[Step]
    levels: Array
    total: Estimate
    noise: Array
    errors: Array
    first: Step | None


class _Noise(NamedTuple):
    """The standard deviation of each log ratio, and the degrees of freedom behind it."""

    each: Array
    degrees: float

    def times(self, factor: float) -> "_Noise":
        return _Noise(self.each * factor, self.degrees)


def penalty(n: int, degrees: float) -> float:
    """Return the least decrease of the sum of squares for a step.

    It is the quantile of F with one degree of freedom.
    """
    from scipy.special import fdtri

    return float(fdtri(1, degrees, 1 - FALSE_ALARMS / n))


def level_trend(ratios: Sequence[Ratio], smallest: float) -> Trend | None:
    """Return the trend of ratios against one fixed base: each is the level itself, and a regression persists.

    ``smallest`` is a lower bound of the noise of a ratio. None if there is too little to estimate the noise
    from.
    """
    logs, roots = np.array([ratio.log for ratio in ratios]), _root_pairs(ratios)
    # A difference of neighbours has the noise of both; this scales it to that of a single pair.
    scatter = np.diff(logs) / np.sqrt(1 / roots[1:] ** 2 + 1 / roots[:-1] ** 2)
    noise = _noise(ratios, scatter, smallest)
    if noise is None:
        return None
    places = _change_points(logs, noise)
    noise = _at_least_as_scattered(noise, logs - _means(logs, noise, places)[0], len(places) + 1)
    places = _change_points(logs, noise)
    levels, errors = _means(logs, noise, places)
    bounds = [0, *places, len(logs)]
    steps = []
    for at, start, end in zip(places, bounds, bounds[2:], strict=False):
        error = math.hypot(errors[at], errors[at - 1])
        steps.append(Step(at, _ratio(levels[at] - levels[at - 1], error, end - start)))
    total = _ratio(levels[-1], errors[-1], bounds[-1] - bounds[-2])
    is_off = (levels[0] / errors[0]) ** 2 > penalty(len(logs), noise.degrees)
    first = Step(0, _ratio(levels[0], errors[0], bounds[1])) if is_off else None
    return Trend(steps, levels, total, noise.each, errors, first)


def _noise(ratios: Sequence[Ratio], scatter: Array, smallest: float) -> _Noise | None:
    """Return the noise of a single pair, pooled over the pairs of all gates, over the root of the pairs.

    Without pairs it is estimated from ``scatter``: deviations with the noise of one pair each, apart from
    steps.
    """
    variances = [(ratio.pairs - 1, ratio.spread**2) for ratio in ratios if ratio.spread is not None]
    degrees: float = sum(n for n, _ in variances)
    if variances:
        of_a_pair = math.sqrt(sum(n * variance for n, variance in variances) / degrees)
    elif len(ratios) >= _FEWEST_FOR_SCATTER:
        of_a_pair = _MAD_SCALE * float(np.median(np.abs(scatter)))
        degrees = _MAD_EFFICIENCY * len(ratios)
    else:
        return None
    return _Noise(np.maximum(of_a_pair / _root_pairs(ratios), smallest), degrees)


def _at_least_as_scattered(noise: _Noise, residuals: Array, fitted: int) -> _Noise:
    """Widen the noise if ratios scatter more about their levels than the pairs within gates.

    They do if something differs between gates that is the same for all pairs of a gate, such as the machine.
    """
    left = len(residuals) - fitted
    if left <= 0:
        return noise
    return noise.times(max(1.0, math.sqrt(float(np.square(residuals / noise.each).sum()) / left)))


def _means(logs: Array, noise: _Noise, places: list[int]) -> tuple[Array, Array]:
    """Return at each place the weighted mean of its segment, and the standard error of that mean."""
    weights = 1 / noise.each**2
    parts = [slice(start, end) for start, end in zip([0, *places], [*places, len(logs)], strict=True)]
    lengths = [part.stop - part.start for part in parts]
    means = [float(np.average(logs[part], weights=weights[part])) for part in parts]
    errors = [float(weights[part].sum()) ** -0.5 for part in parts]
    return np.repeat(means, lengths), np.repeat(errors, lengths)


def _root_pairs(ratios: Sequence[Ratio]) -> Array:
    return np.sqrt([ratio.pairs for ratio in ratios])


def chained(logs: Sequence[float], errors: Sequence[float], n: int) -> Estimate:
    """Return the product of independent ratios, given as logarithms with their standard errors."""
    return _ratio(math.fsum(logs), math.hypot(*errors), n)


def _ratio(log: float, error: float, n: int) -> Estimate:
    """Return the ratio whose logarithm has this value and standard error, over ``n`` ratios of the series."""
    return Estimate(float(log), float(log - _DEVIATES * error), float(log + _DEVIATES * error), n).exp()


def _change_points(logs: Array, noise: _Noise) -> list[int]:
    """Return the first place of each new level."""
    import ruptures

    if len(logs) < 2:  # noqa: PLR2004  one ratio has no step in it
        return []
    search = ruptures.Pelt(custom_cost=_weighted_l2(noise.each), min_size=1, jump=1)
    ends: list[int] = search.fit_predict(logs[:, None], pen=penalty(len(logs), noise.degrees))
    return ends[:-1]


def _weighted_l2(noise: Array) -> Any:
    """Return the cost of a segment: its squares about its weighted mean, in units of the noise."""
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
