"""Equivalence of two configurations: two one-sided tests on paired seeds, with three verdicts."""

import math
import statistics
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from harness.core.stats.deviations import largest
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import (
    CONFIDENCE,
    FEWEST_FOR_INTERVAL,
    Array,
    joint_confidence,
    mean_interval,
    student_quantile,
    wider,
)
from harness.core.stats.sampling import Sampling

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


def equivalence(ours: Mapping[int, float], theirs: Mapping[int, float], margin: float) -> Equivalence:
    """Compare values by seed, ``ours`` minus ``theirs``, over the common seeds.

    See :func:`equivalence_of`.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    return equivalence_of(differences[np.isfinite(differences)], margin)


def equivalence_of(
    differences: Array, margin: float, comparisons: int = 1, sampling: Sampling | None = None
) -> Equivalence:
    """Judge finite differences of paired seeds ``(seeds,)``.

    As one of several ``comparisons`` the test uses its share of the 5 %, and its interval holds jointly with
    the others (Bonferroni). ``sampling`` is the share of the test samples in the error; each test must then
    hold with this share and without.

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
    """Return the p-values of the test of equality with ``margin``, and of the t test.

    The test of equality has the larger p-value of two one-sided tests. With ``sampling``, both tests have the
    larger of the p-values over seeds and for the population.
    """
    from scipy.special import stdtr  # scipy.stats has the tests, and takes half a second to import

    mean = float(differences.mean())
    equal, different = [], []
    for error, degrees in _errors(differences, sampling):
        if error == 0.0:
            equal.append(float(abs(mean) >= margin))
            different.append(float(mean == 0.0))
            continue
        outside = largest((stdtr(degrees, (mean - margin) / error), stdtr(degrees, -(mean + margin) / error)))
        equal.append(outside)
        different.append(float(2 * stdtr(degrees, -abs(mean) / error)))
    return largest(equal), largest(different)


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

    The second is None if ``sampling`` is not known. Without three seeds there are no intervals.
    """
    over_seeds = mean_interval(differences, confidence)
    if sampling is None or over_seeds is None or over_seeds.low is None:
        return over_seeds, None
    error, degrees = _errors(differences, sampling)[1]
    half = student_quantile((1 + confidence) / 2, degrees) * error
    mean = over_seeds.value
    return over_seeds, Estimate(mean, mean - half, mean + half, over_seeds.n)


def seeds_needed(differences: Array, margin: float, alpha: float = ALPHA, floor: float = 0.0) -> int | None:
    """Return the smaller of the numbers of :func:`seeds_to_equal` and :func:`seeds_to_differ`, if any."""
    wanted = seeds_to_equal(differences, margin, alpha, floor), seeds_to_differ(differences, alpha, floor)
    return min((count for count in wanted if count is not None), default=None)


def seeds_to_equal(differences: Array, margin: float, alpha: float, floor: float = 0.0) -> int | None:
    """Approximate the paired seeds that show equality with power 0.8 at this mean and spread.

    The number is ``((z_alpha + z_power) s / (margin - |mean|))²`` (Chow, Shao and Wang 2008, section 3.1,
    normal approximation), plus one or two for Student's t. ``floor`` is a variance of the mean that does not
    fall with the number of seeds; None if it alone is too large for a verdict, or the mean is beyond the
    ``margin``.
    """
    quantile = _NORMAL.inv_cdf(1 - alpha) + _Z_BOTH_TESTS
    return _seeds_at(differences, margin - abs(float(differences.mean())), quantile, 1.4, floor)


def seeds_to_differ(differences: Array, alpha: float, floor: float = 0.0) -> int | None:
    """Approximate the paired seeds that show a difference, ``((z_alpha/2 + z_power) s / |mean|)²``.

    As :func:`seeds_to_equal`.
    """
    quantile = _NORMAL.inv_cdf(1 - alpha / 2) + _Z_POWER
    return _seeds_at(differences, abs(float(differences.mean())), quantile, 1.9, floor)


def _seeds_at(
    differences: Array, distance: float, quantile: float, further: float, floor: float
) -> int | None:
    """Return the seeds at which the standard error is a ``quantile``-th of the ``distance``."""
    left = (distance / quantile) ** 2 - floor
    if not (distance > 0 and left > 0):  # or not a number
        return None
    count = math.ceil(float(differences.var(ddof=1)) / left + further)
    return max(len(differences) + 1, FEWEST_FOR_INTERVAL, count)
