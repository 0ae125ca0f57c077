"""Whether two configurations are equally good: two one-sided tests on paired seeds, with three verdicts."""

import math
import statistics
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from harness.stats.estimate import Estimate
from harness.stats.intervals import FEWEST_FOR_INTERVAL, Array, joint_confidence, mean_interval

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
