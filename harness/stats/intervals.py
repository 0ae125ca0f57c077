"""Means and ratios over few seeds with their intervals: Student's for scores, the bootstrap for curves.

Intervals of times and ratios are symmetric in logarithms; those of scores stay within the possible values.
"""

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.stats.estimate import Estimate

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
#: With two values Student's interval is 18 times as wide as their standard error is large, and shows nothing.
FEWEST_FOR_INTERVAL = 3
RESAMPLES = 1000


def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(degrees, probability))


def quantile_interval(values: Sequence[float], share: float, confidence: float = CONFIDENCE) -> Estimate:
    """The quantile of values, with an interval from order statistics, which assumes no distribution.

    After Hahn and Meeker (1991, section 5.2): the narrowest symmetric pair of ranks that holds the quantile
    with this probability. Without an interval where there are too few values for a pair: p99 takes 368.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(values, float))
    n, tail = len(ordered), (1 - confidence) / 2
    value = float(np.quantile(ordered, share))
    below = bdtr(np.arange(n), n, share)  # of each rank, that at most so many values are below the quantile
    low, high = int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail)) + 1
    if low < 1 or high > n:
        return Estimate(value, None, None, n)
    return Estimate(value, float(ordered[low - 1]), float(ordered[high - 1]), n)


def joint_confidence(intervals: int) -> float:
    """The confidence of each of several intervals that hold jointly at 95 % (Bonferroni; Dunn 1961)."""
    return 1 - (1 - CONFIDENCE) / max(1, intervals)


def mean_interval(values: Sequence[float] | Array, confidence: float = CONFIDENCE) -> Estimate | None:
    """The mean of finite values; from three values on with Student's interval (1908). None without values."""
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
    """Half of Student's interval of the means of values ``(n, …)``, n > 1."""
    n = len(values)
    half: Array = student_quantile((1 + confidence) / 2, n - 1) * values.std(axis=0, ddof=1) / n**0.5
    return half


def bounded_ends(mean: Array, half: Array, upper: float | None) -> tuple[Array, Array]:
    """The ends of intervals of means between 0 and ``upper``, or above 0; ``half`` is Student's half width.

    Student's interval on the scale of the logit, or of the logarithm, taken back. The standard error there
    is that of the mean times the slope (delta method; for shares it is the logit interval of Brown, Cai and
    DasGupta 2001). The mean stays the arithmetic one; where it is at a bound, all values are equal.
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


def bounded_interval(
    values: Sequence[float] | Array, upper: float | None, confidence: float = CONFIDENCE
) -> Estimate | None:
    """As :func:`mean_interval`, of values from 0 to ``upper``, or of any from 0: no end is impossible."""
    plain = mean_interval(values, confidence)
    if plain is None or plain.low is None:
        return plain
    mean, half = np.asarray(plain.value), np.asarray(plain.value - plain.low)
    low, high = bounded_ends(mean, half, upper)
    return Estimate(plain.value, float(low), float(high), plain.n)


def geometric_interval(values: Sequence[float] | Array, confidence: float = CONFIDENCE) -> Estimate | None:
    """The geometric mean of the positive values, with its interval in logarithms: for times and ratios."""
    sample = np.asarray(values, np.float64)
    logs = mean_interval(np.log(sample[sample > 0]), confidence)
    return None if logs is None else logs.exp()


def resampled_means(curves: Array, resamples: int = RESAMPLES) -> Array:
    """Means ``(resamples, …)`` of curves ``(seeds, …)`` drawn with replacement, each as a whole.

    The bootstrap of Efron (1979) with the seed as the unit. The draws are the same at every call: reports are
    reproducible, and curves of the same runs stay together.
    """
    means: Array = np.tensordot(_draws(len(curves), resamples), curves, axes=1)
    return means


@functools.lru_cache(maxsize=16)
def _draws(seeds: int, resamples: int) -> Array:
    """Weights ``(resamples, seeds)``: the share of draws that fell on each seed."""
    drawn = np.random.default_rng(0).integers(seeds, size=(resamples, seeds))
    places = (drawn + seeds * np.arange(resamples)[:, None]).ravel()
    return np.bincount(places, minlength=resamples * seeds).reshape(resamples, seeds) / seeds


# Whether two configurations are equally good: two one-sided tests on paired seeds, with three verdicts.

ALPHA = 0.05
POWER = 0.8
_NORMAL = statistics.NormalDist()
_Z_POWER = _NORMAL.inv_cdf(POWER)
#: Without a true difference either of the two one-sided tests may fail.
_Z_BOTH_TESTS = _NORMAL.inv_cdf((1 + POWER) / 2)

Verdict = Literal["equal", "different", "undecided"]


class Equivalence(NamedTuple):
    """What paired seeds show about a difference, in the unit of the values.

    ``p`` is that of the verdict: of the larger one-sided test for "equal", of the two-sided test otherwise;
    None for fewer than three pairs, which decide nothing. ``seeds_needed``, with "undecided", is the
    approximate number of seeds for a verdict; None if it cannot be estimated.
    """

    verdict: Verdict
    difference: Estimate | None
    margin: float
    p: float | None = None
    seeds_needed: int | None = None


def equivalence(
    ours: Mapping[int, float], theirs: Mapping[int, float], margin: float, comparisons: int = 1
) -> Equivalence:
    """Compare values by seed, ``ours`` minus ``theirs``, over the seeds that both have.

    As one of several ``comparisons`` it uses its share of the 5 %, and its interval holds jointly with those
    of the others (Bonferroni).

    Equal: both one-sided tests reject a difference of ``margin`` or more at 5 % (Schuirmann 1987). Different:
    not equal, and the paired t test rejects equality at 5 %. A significant difference below the margin is
    therefore equal.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    differences = differences[np.isfinite(differences)]
    estimate = mean_interval(differences, joint_confidence(comparisons))
    alpha = ALPHA / comparisons
    if len(differences) < FEWEST_FOR_INTERVAL or estimate is None:
        needed = seeds_needed(differences, margin, alpha) if len(differences) > 1 else None
        return Equivalence("undecided", estimate, margin, seeds_needed=needed)
    p_equal, p_different = _p_values(differences, margin)
    if p_equal < alpha:
        return Equivalence("equal", estimate, margin, p_equal)
    if p_different < alpha:
        return Equivalence("different", estimate, margin, p_different)
    return Equivalence("undecided", estimate, margin, p_different, seeds_needed(differences, margin, alpha))


def _p_values(differences: Array, margin: float) -> tuple[float, float]:
    """The larger p-value of the two one-sided tests against the margin, and that of the two-sided t test."""
    from scipy.special import stdtr  # scipy.stats has the tests, and takes half a second to import

    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / n**0.5
    if error == 0.0:
        return float(abs(mean) >= margin), float(mean == 0.0)
    outside = max(stdtr(n - 1, (mean - margin) / error), stdtr(n - 1, -(mean + margin) / error))
    return float(outside), float(2 * stdtr(n - 1, -abs(mean) / error))


def seeds_needed(differences: Array, margin: float, alpha: float = ALPHA) -> int | None:
    """The approximate number of paired seeds for a verdict with power 0.8 at this mean and spread.

    The smaller of the number for equality, ``((z_alpha + z_power) s / (margin - |mean|))²``, and that for a
    difference, ``((z_alpha/2 + z_power) s / |mean|)²`` (Chow, Shao and Wang 2008, section 3.1, normal
    approximation), plus one or two for Student's t.
    """
    mean, spread = abs(float(differences.mean())), float(differences.std(ddof=1))
    wanted = []
    one_sided, two_sided = _NORMAL.inv_cdf(1 - alpha), _NORMAL.inv_cdf(1 - alpha / 2)
    if mean < margin:
        wanted.append(((one_sided + _Z_BOTH_TESTS) * spread / (margin - mean)) ** 2 + 1.4)
    if mean > 0:
        wanted.append(((two_sided + _Z_POWER) * spread / mean) ** 2 + 1.9)
    fewest = max(len(differences) + 1, FEWEST_FOR_INTERVAL)
    return max(fewest, math.ceil(min(wanted))) if wanted else None
