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

from harness.core.stats.estimate import Estimate

# What the choice of the samples adds to the error of a mean over seeds that share these samples.


class Sampling(NamedTuple):
    """The mean squares of a table of seeds and samples, each divided by the number of its values.

    ``samples`` is the mean square between samples, ``rest`` that of what neither the seed nor the sample
    explains; ``sample_degrees`` and ``rest_degrees`` are their degrees of freedom.
    """

    samples: float
    rest: float
    sample_degrees: int
    rest_degrees: int

    @property
    def variance(self) -> float:
        """The variance of the mean that is due to the samples alone: more seeds do not reduce it."""
        return max(0.0, self.samples - self.rest)

    def added_to(self, variance: float, degrees: int) -> tuple[float, float]:
        """Return the standard error of the mean and its degrees of freedom, given its variance over seeds.

        The degrees are those of Satterthwaite (1946) for a sum of mean squares, and never fewer than those of
        the seeds: with a mean square that is subtracted, his formula falls below every part where the sum is
        near zero (Gaylor and Hopper 1969).
        """
        total = variance + self.variance
        if not self.variance:
            return total**0.5, float(degrees)
        terms = (
            variance**2 / degrees,
            self.samples**2 / self.sample_degrees,
            self.rest**2 / self.rest_degrees,
        )
        return total**0.5, max(float(degrees), total**2 / sum(terms))


def sampling(values: npt.NDArray[np.float64], units: int | None = None) -> Sampling | None:
    """Estimate the samples' share in the error of the mean of finite values ``(seeds, samples)``.

    Seeds and samples are crossed random effects, drawn independently from what could have been drawn: a
    two-way analysis of variance without replication, whose mean squares give the variance of the grand mean
    without a bias (Searle, Casella and McCulloch 1992, section 4.3; as readers and cases, Gallas 2006).
    Where neighbours are alike, as in a text, ``units`` is the number of blocks of consecutive samples that
    take the place of samples. None for fewer than two seeds or two units.
    """
    if units is not None and 0 < units < values.shape[1]:
        edges = np.linspace(0, values.shape[1], units, endpoint=False).round().astype(int)
        values = np.add.reduceat(values, edges, axis=1) * (units / values.shape[1])
    seeds, samples = values.shape
    if seeds < 2 or samples < 2:  # noqa: PLR2004  (no degrees of freedom)
        return None
    by_sample = values.mean(axis=0)
    rest = values - values.mean(axis=1, keepdims=True) - by_sample + values.mean()
    of_samples, of_rest = samples - 1, (seeds - 1) * (samples - 1)
    return Sampling(
        float(by_sample.var(ddof=1)) / samples,
        float(np.sum(rest**2)) / of_rest / (seeds * samples),
        of_samples,
        of_rest,
    )


Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
#: With two values Student's interval is 18 times as wide as their standard error is large, and shows nothing.
FEWEST_FOR_INTERVAL = 3
RESAMPLES = 1000


def student_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(degrees, probability))


def quantile_interval(values: Sequence[float], share: float, confidence: float = CONFIDENCE) -> Estimate:
    """Return the quantile of values, with an interval from order statistics, which assumes no distribution.

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
    """Return each confidence of several intervals that hold jointly at 95 % (Bonferroni; Dunn 1961)."""
    return 1 - (1 - CONFIDENCE) / max(1, intervals)


def mean_interval(values: Sequence[float] | Array, confidence: float = CONFIDENCE) -> Estimate | None:
    """Average finite values; from three on with Student's interval (1908). None without values."""
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
    """Bound intervals of means between 0 and ``upper``, or above 0; ``half`` is Student's half width.

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
    """Bound :func:`mean_interval` for values from 0 to ``upper``, or from 0: no end is impossible."""
    plain = mean_interval(values, confidence)
    if plain is None or plain.low is None:
        return plain
    mean, half = np.asarray(plain.value), np.asarray(plain.value - plain.low)
    low, high = bounded_ends(mean, half, upper)
    return Estimate(plain.value, float(low), float(high), plain.n)


def geometric_interval(values: Sequence[float] | Array, confidence: float = CONFIDENCE) -> Estimate | None:
    """Average positive values geometrically, with an interval in logarithms: for times and ratios."""
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

    ``difference`` has the wider of the intervals ``over_seeds`` and for the ``population``; without the
    scores of single samples there is no second one. ``p`` is that of the verdict: of the larger one-sided
    test for "equal", of the two-sided test otherwise; None for fewer than three pairs, which decide nothing.
    ``seeds_needed``, with "undecided", is the approximate number of seeds for a verdict; None if it cannot be
    estimated, or if no number of seeds suffices.
    """

    verdict: Verdict
    difference: Estimate | None
    margin: float
    p: float | None = None
    seeds_needed: int | None = None
    over_seeds: Estimate | None = None
    population: Estimate | None = None

    @property
    def needs_samples(self) -> bool:
        """Whether it is undecided because the samples are too few, so that more seeds would not decide."""
        return self.verdict == "undecided" and self.population is not None and self.seeds_needed is None


def equivalence(
    ours: Mapping[int, float], theirs: Mapping[int, float], margin: float, comparisons: int = 1
) -> Equivalence:
    """Compare values by seed, ``ours`` minus ``theirs``, over the seeds that both have.

    See :func:`equivalence_of`.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    return equivalence_of(differences[np.isfinite(differences)], margin, comparisons)


def equivalence_of(
    differences: Array, margin: float, comparisons: int = 1, sampling: Sampling | None = None
) -> Equivalence:
    """Judge finite differences of paired seeds ``(seeds,)``.

    As one of several ``comparisons`` it uses its share of the 5 %, and its interval holds jointly with those
    of the others (Bonferroni). ``sampling`` is what the choice of the test samples adds to the error; each
    test must then hold with it and without.

    Equal: both one-sided tests reject a difference of ``margin`` or more at 5 % (Schuirmann 1987). Different:
    not equal, and the paired t test rejects equality at 5 %. A significant difference below the margin is
    therefore equal.
    """
    over_seeds, population = mean_intervals(differences, sampling, joint_confidence(comparisons))
    estimates = (wider(over_seeds, population), margin)
    alpha, floor = ALPHA / comparisons, 0.0 if sampling is None else sampling.variance
    if len(differences) < FEWEST_FOR_INTERVAL or over_seeds is None:
        needed = seeds_needed(differences, margin, alpha) if len(differences) > 1 else None
        return Equivalence("undecided", *estimates, None, needed, over_seeds, population)
    p_equal, p_different = _p_values(differences, margin, sampling)
    if p_equal < alpha:
        return Equivalence("equal", *estimates, p_equal, None, over_seeds, population)
    if p_different < alpha:
        return Equivalence("different", *estimates, p_different, None, over_seeds, population)
    needed = seeds_needed(differences, margin, alpha, floor)
    return Equivalence("undecided", *estimates, p_different, needed, over_seeds, population)


def _p_values(differences: Array, margin: float, sampling: Sampling | None) -> tuple[float, float]:
    """Return the larger p-value of two one-sided tests against the margin, and that of the t test.

    The larger of those over seeds and for the population.
    """
    from scipy.special import stdtr  # scipy.stats has the tests, and takes half a second to import

    mean = float(differences.mean())
    equal, different = [], []
    for error, degrees in _errors(differences, sampling):
        if error == 0.0:
            equal.append(float(abs(mean) >= margin))
            different.append(float(mean == 0.0))
            continue
        outside = max(stdtr(degrees, (mean - margin) / error), stdtr(degrees, -(mean + margin) / error))
        equal.append(float(outside))
        different.append(float(2 * stdtr(degrees, -abs(mean) / error)))
    return max(equal), max(different)


def _errors(differences: Array, sampling: Sampling | None) -> list[tuple[float, float]]:
    """Return the standard error of the mean, with degrees of freedom: over seeds, and for the population."""
    n = len(differences)
    variance = float(differences.var(ddof=1)) / n
    errors = [(variance**0.5, n - 1.0)]
    if sampling is not None:
        errors.append(sampling.added_to(variance, n - 1))
    return errors


def mean_intervals(
    differences: Array, sampling: Sampling | None, confidence: float = CONFIDENCE
) -> tuple[Estimate | None, Estimate | None]:
    """Average finite differences ``(seeds,)``, with intervals over seeds, and for the population.

    The second is None where ``sampling`` is not known; both have no interval for fewer than three seeds.
    """
    over_seeds = mean_interval(differences, confidence)
    if sampling is None or over_seeds is None or over_seeds.low is None:
        return over_seeds, None
    error, degrees = _errors(differences, sampling)[1]
    half = student_quantile((1 + confidence) / 2, degrees) * error
    mean = over_seeds.value
    return over_seeds, Estimate(mean, mean - half, mean + half, over_seeds.n)


def spread_of_best(values: Sequence[float]) -> float:
    """Return the standard deviation of the largest of n draws, with replacement, from these n values.

    The k-th smallest is the largest drawn with probability ``(k/n)**n - ((k-1)/n)**n``; its mean is the
    expected maximum of Dodge et al. (2019, "Show your work"). It says how much of the best is
    chance. 0 for fewer than two values.
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
    """Return the estimate with the wider interval; the first where the second is not known."""
    if first is None or second is None or None in (first.low, first.high, second.low, second.high):
        return first
    return max(first, second, key=_width)


def _width(estimate: Estimate) -> float:
    return (estimate.high or 0.0) - (estimate.low or 0.0)


def seeds_needed(differences: Array, margin: float, alpha: float = ALPHA, floor: float = 0.0) -> int | None:
    """Approximate the number of paired seeds for a verdict with power 0.8 at this mean and spread.

    The smaller of the number for equality, ``((z_alpha + z_power) s / (margin - |mean|))²``, and that for a
    difference, ``((z_alpha/2 + z_power) s / |mean|)²`` (Chow, Shao and Wang 2008, section 3.1, normal
    approximation), plus one or two for Student's t. ``floor`` is a variance of the mean that does not fall
    with the number of seeds; None where it alone is too large for either.
    """
    mean, spread = abs(float(differences.mean())), float(differences.std(ddof=1))
    one_sided, two_sided = _NORMAL.inv_cdf(1 - alpha), _NORMAL.inv_cdf(1 - alpha / 2)
    wanted = []
    for distance, quantile, extra in (
        (margin - mean, one_sided + _Z_BOTH_TESTS, 1.4),
        (mean, two_sided + _Z_POWER, 1.9),
    ):
        if distance > 0 and (left := (distance / quantile) ** 2 - floor) > 0:
            wanted.append(spread**2 / left + extra)
    fewest = max(len(differences) + 1, FEWEST_FOR_INTERVAL)
    return max(fewest, math.ceil(min(wanted))) if wanted else None
