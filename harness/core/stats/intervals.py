"""Means and ratios over few seeds with their intervals: Student's for scores, the bootstrap for curves.

Intervals of times and ratios are symmetric in logarithms; those of scores stay within the possible values.
"""

import functools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.core.stats.estimate import Estimate

Array = npt.NDArray[np.float64]
CONFIDENCE = 0.95
#: With two values Student's interval is 18 times as wide as their standard deviation, and shows nothing.
FEWEST_FOR_INTERVAL = 3
RESAMPLES = 1000
_NORMAL = statistics.NormalDist()


def student_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(degrees, probability))


def quantile_interval(values: Sequence[float], share: float) -> Estimate:
    """Return the quantile of values, with an interval from order statistics, which assumes no distribution.

    The interval is the narrowest symmetric pair of ranks that holds the quantile at 95 % (Hahn
    and Meeker 1991, section 5.2). There is no interval for too few values: p99 takes 368.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(values, float))
    n, tail = len(ordered), (1 - CONFIDENCE) / 2
    value = float(np.quantile(ordered, share))
    below = bdtr(np.arange(n), n, share)  # of each rank, that at most so many values are below the quantile
    low, high = int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail)) + 1
    if low < 1 or high > n:
        return Estimate(value, None, None, n)
    return Estimate(value, float(ordered[low - 1]), float(ordered[high - 1]), n)


def joint_confidence(intervals: int) -> float:
    """Return the confidence of each interval if all hold jointly at 95 % (Bonferroni; Dunn 1961)."""
    return 1 - (1 - CONFIDENCE) / max(1, intervals)


def mean_interval(values: Sequence[float] | Array, confidence: float = CONFIDENCE) -> Estimate | None:
    """Average finite values; from three values on with Student's interval (1908). None without values."""
    sample = np.asarray(values, np.float64)
    sample = sample[np.isfinite(sample)]
    n = len(sample)
    if n == 0:
        return None
    mean = float(sample.mean())
    if n < FEWEST_FOR_INTERVAL:
        return Estimate(mean, None, None, n)
    half = float(half_width(sample, confidence))
    return Estimate(mean, mean - half, mean + half, n)


def half_width(values: Array, confidence: float = CONFIDENCE) -> Array:
    """Compute half of Student's interval of the means of values ``(n, …)``, n > 1."""
    n = len(values)
    half: Array = student_quantile((1 + confidence) / 2, n - 1) * values.std(axis=0, ddof=1) / n**0.5
    return half


def bounded_ends(mean: Array, half: Array, upper: float | None) -> tuple[Array, Array]:
    """Bound intervals of means between 0 and ``upper``, or above 0; ``half`` is Student's half width.

    The ends are those of Student's interval on the scale of the logit, or of the logarithm, transformed back.
    The standard error on that scale is the mean's times the slope (delta method; for shares the result is the
    logit interval of Brown, Cai and DasGupta 2001). The mean stays the arithmetic one; if it is at a bound,
    all values are equal.
    """
    with np.errstate(all="ignore"):  # at a bound, and beyond the largest number
        if upper is None:
            factor = np.exp(half / mean)
            low, high = mean / factor, mean * factor
        else:
            odds = mean / (upper - mean)
            factor = np.exp(half * upper / (mean * (upper - mean)))
            low, high = upper / (1 + factor / odds), upper / (1 + 1 / (odds * factor))
    at_bound = (mean <= 0) | (False if upper is None else mean >= upper)
    # The smallest numbers underflow; the mean is then an end.
    return np.where(at_bound, mean, np.fmin(low, mean)), np.where(at_bound, mean, np.fmax(high, mean))


def bounded_interval(values: Sequence[float] | Array, upper: float | None) -> Estimate | None:
    """Bound :func:`mean_interval` for values from 0 to ``upper``, or from 0: no end is impossible."""
    plain = mean_interval(values)
    if plain is None or plain.low is None:
        return plain
    mean, half = np.asarray(plain.value), np.asarray(plain.value - plain.low)
    low, high = bounded_ends(mean, half, upper)
    return Estimate(plain.value, float(low), float(high), plain.n)


def geometric_interval(values: Sequence[float] | Array) -> Estimate | None:
    """Average positive values geometrically, with an interval in logarithms: for times and ratios."""
    sample = np.asarray(values, np.float64)
    logs = mean_interval(np.log(sample[sample > 0]))
    return None if logs is None else logs.exp()


def resampled_means(curves: Array) -> Array:
    """Compute means ``(RESAMPLES, …)`` of curves ``(seeds, …)`` drawn with replacement, each as a whole.

    The method is the bootstrap of Efron (1979) with the seed as the unit. The draws are the same at every
    call: reports are reproducible, and curves of the same runs stay together.
    """
    means: Array = np.tensordot(_draws(len(curves)), curves, axes=1)
    return means


@functools.lru_cache(maxsize=16)
def _draws(seeds: int) -> Array:
    """Draw weights ``(RESAMPLES, seeds)``: how often each seed is drawn, as a share."""
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    places = (drawn + seeds * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(places, minlength=RESAMPLES * seeds).reshape(RESAMPLES, seeds) / seeds


def spread_of_best(values: Sequence[float]) -> float:
    """Return the standard deviation of the largest of n draws, with replacement, from these n values.

    The k-th smallest is the largest drawn with probability ``(k/n)**n - ((k-1)/n)**n``; the mean of the
    largest is the expected maximum of Dodge et al. (2019, "Show your work"). The result states how much of
    the best value is chance. 0 for fewer than two values.
    """
    n = len(values)
    if n < 2:  # noqa: PLR2004  (nothing to choose from)
        return 0.0
    chances = np.diff((np.arange(n + 1) / n) ** n)
    ordered = np.sort(np.asarray(values, np.float64))
    mean = float(chances @ ordered)
    return math.sqrt(float(chances @ (ordered - mean) ** 2))


def with_further_error(
    estimate: Estimate | None, error: float, confidence: float = CONFIDENCE
) -> Estimate | None:
    """Add an independent normal error of this standard deviation to the interval of an estimate."""
    if estimate is None or estimate.low is None or estimate.high is None or not error:
        return estimate
    further = _NORMAL.inv_cdf((1 + confidence) / 2) * error
    value = estimate.value
    return Estimate(
        value,
        value - math.hypot(value - estimate.low, further),
        value + math.hypot(estimate.high - value, further),
        estimate.n,
    )


def wider(first: Estimate | None, second: Estimate | None) -> Estimate | None:
    """Return the estimate with the wider interval; ``first`` if ``second`` is not known."""
    if first is None or second is None or None in (first.low, first.high, second.low, second.high):
        return first
    return max(first, second, key=_width)


def _width(estimate: Estimate) -> float:
    return (estimate.high or 0.0) - (estimate.low or 0.0)
