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
#: Of the median absolute deviation beside the standard deviation.
_MAD_EFFICIENCY = 0.37


class Ratio(NamedTuple):
    """The logarithm of one gate's ratio, the pairs behind it, and the standard deviation between them.

    ``spread`` is None where there are not two pairs to tell it.
    """

    log: float
    pairs: int
    spread: float | None


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


class _Noise(NamedTuple):
    """The standard deviation of each log ratio, and the degrees of freedom behind it."""

    each: Array
    degrees: float

    def times(self, factor: float) -> "_Noise":
        return _Noise(self.each * factor, self.degrees)


def penalty(n: int, degrees: float) -> float:
    """What each step must lower the sum of squares by: the quantile of F with one degree of freedom."""
    from scipy.stats import f

    return float(f.isf(FALSE_ALARMS / n, 1, degrees))


def level_trend(ratios: Sequence[Ratio], smallest: float) -> Trend | None:
    """Of ratios against one fixed base: each is the level itself, so that a slip is a step that stays.

    ``smallest`` bounds the noise of a ratio from below. None where too little is known of the noise.
    """
    logs, roots = _logs(ratios), _root_pairs(ratios)
    # A difference of neighbours has the noise of both; this brings it to that of a single pair.
    scatter = np.diff(logs) / np.sqrt(1 / roots[1:] ** 2 + 1 / roots[:-1] ** 2)
    noise = _noise(ratios, scatter, smallest)
    if noise is None:
        return None
    places = _change_points(logs, noise)
    noise = _at_least_as_scattered(noise, logs - _means(logs, noise, places)[0], len(places) + 1)
    places = _change_points(logs, noise)
    levels, errors = _means(logs, noise, places)
    steps = [_step(at, levels[at] - levels[at - 1], math.hypot(errors[at], errors[at - 1])) for at in places]
    return Trend(steps, levels, *_ends(levels[-1], errors[-1]), noise.each)


def chained_trend(ratios: Sequence[Ratio], smallest: float) -> Trend | None:
    """Of ratios each against the one before: a slip is one ratio that is off, and the level their product.

    The product's noise is a random walk, in which no method finds a step better than in the one ratio
    where it happened; so each ratio is held against the same penalty by itself.
    """
    logs = _logs(ratios)
    noise = _noise(ratios, logs * _root_pairs(ratios), smallest)
    if noise is None:
        return None
    off = _off(logs, noise)
    noise = _at_least_as_scattered(noise, np.where(off, 0.0, logs), int(off.sum()))
    steps = [_step(int(at), logs[at], noise.each[at]) for at in np.flatnonzero(_off(logs, noise))]
    error = math.sqrt(float(np.square(noise.each).sum()))
    return Trend(steps, np.cumsum(logs), *_ends(float(logs.sum()), error), noise.each)


def _noise(ratios: Sequence[Ratio], scatter: Array, smallest: float) -> _Noise | None:
    """That of a single pair, pooled over the pairs of all gates, over the root of each ratio's pairs.

    Without pairs, from ``scatter``, deviations that have the noise of one pair each, but for steps.
    """
    told = [(ratio.pairs - 1, ratio.spread**2) for ratio in ratios if ratio.spread is not None]
    degrees: float = sum(n for n, _ in told)
    if told:
        one = math.sqrt(sum(n * square for n, square in told) / degrees)
    elif len(ratios) >= _FEWEST_FOR_SCATTER:
        one = _MAD_SCALE * float(np.median(np.abs(scatter)))
        degrees = _MAD_EFFICIENCY * len(ratios)
    else:
        return None
    return _Noise(np.maximum(one / _root_pairs(ratios), smallest), degrees)


def _at_least_as_scattered(noise: _Noise, residuals: Array, fitted: int) -> _Noise:
    """The noise, widened where ratios scatter more about their levels than the pairs within gates tell.

    They do when something changes from gate to gate that is the same for the pairs of one: the machine.
    """
    left = len(residuals) - fitted
    if left <= 0:
        return noise
    return noise.times(max(1.0, math.sqrt(float(np.square(residuals / noise.each).sum()) / left)))


def _off(logs: Array, noise: _Noise) -> npt.NDArray[np.bool_]:
    return np.abs(logs) > math.sqrt(penalty(len(logs), noise.degrees)) * noise.each


def _means(logs: Array, noise: _Noise, places: list[int]) -> tuple[Array, Array]:
    """At each place of the series the mean of its segment, weighted, and the standard error of that."""
    weights = 1 / noise.each**2
    parts = [slice(start, end) for start, end in zip([0, *places], [*places, len(logs)], strict=True)]
    lengths = [part.stop - part.start for part in parts]
    means = [float(np.average(logs[part], weights=weights[part])) for part in parts]
    errors = [float(weights[part].sum()) ** -0.5 for part in parts]
    return np.repeat(means, lengths), np.repeat(errors, lengths)


def _logs(ratios: Sequence[Ratio]) -> Array:
    return np.array([ratio.log for ratio in ratios])


def _root_pairs(ratios: Sequence[Ratio]) -> Array:
    return np.sqrt([ratio.pairs for ratio in ratios])


def _step(at: int, change: float, error: float) -> Step:
    return Step(at, *_ends(change, error))


def _ends(mean: float, error: float) -> tuple[float, float, float]:
    return mean, mean - _DEVIATES * error, mean + _DEVIATES * error


def _change_points(logs: Array, noise: _Noise) -> list[int]:
    """The first place of each new level.

    Raises:
        ImportError: ruptures is not installed.
    """
    import ruptures

    if len(logs) < 2:  # noqa: PLR2004  one ratio has no step in it
        return []
    search = ruptures.Pelt(custom_cost=_weighted_l2(noise.each), min_size=1, jump=1)
    ends: list[int] = search.fit_predict(logs[:, None], pen=penalty(len(logs), noise.degrees))
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
