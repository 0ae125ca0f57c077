"""Whether two sides are equally good: two one-sided tests on paired seeds, with three answers."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from harness.stats.estimate import Estimate
from harness.stats.intervals import Array, mean_interval

ALPHA = 0.05
POWER = 0.8
_Z_ONE_SIDED = 1.6449  # normal quantile of 1 - ALPHA
_Z_TWO_SIDED = 1.9600  # of 1 - ALPHA / 2
_Z_POWER = 0.8416  # of POWER
_Z_BOTH_TESTS = 1.2816  # of (1 + POWER) / 2: at no difference either of the two tests may fail

Verdict = Literal["equal", "different", "undecided"]


class Equivalence(NamedTuple):
    """What paired seeds say of a difference, in the unit of the values.

    ``p`` is that of the answer: of the larger one-sided test for "equal", of the two-sided one
    otherwise; None where there were fewer than two pairs. ``seeds_needed``, with "undecided", is
    about how many seeds an answer would take; None where that cannot be said.
    """

    verdict: Verdict
    difference: Estimate | None
    margin: float
    p: float | None = None
    seeds_needed: int | None = None


def equivalence(one: Mapping[int, float], other: Mapping[int, float], margin: float) -> Equivalence:
    """Compare values by seed, ``one`` less ``other``, over the seeds that both have.

    Equal: both one-sided tests reject a difference of ``margin`` or more at 5 % (Schuirmann 1987).
    Different: not equal, and the paired t test rejects no difference at 5 %. A difference that is
    certain and yet below the margin is therefore equal.
    """
    seeds = sorted(one.keys() & other.keys())
    differences = np.array([one[seed] - other[seed] for seed in seeds])
    differences = differences[np.isfinite(differences)]
    estimate = mean_interval(differences)
    if len(differences) < 2 or estimate is None:  # noqa: PLR2004  a spread takes two
        return Equivalence("undecided", estimate, margin)
    p_equal, p_different = _p_values(differences, margin)
    if p_equal < ALPHA:
        return Equivalence("equal", estimate, margin, p_equal)
    if p_different < ALPHA:
        return Equivalence("different", estimate, margin, p_different)
    return Equivalence("undecided", estimate, margin, p_different, seeds_needed(differences, margin))


def _p_values(differences: Array, margin: float) -> tuple[float, float]:
    """The larger p of the two one-sided tests against the margin, and that of the two-sided t test."""
    from scipy.special import stdtr

    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / n**0.5
    if error == 0.0:
        return float(abs(mean) >= margin), float(mean == 0.0)
    outside = max(stdtr(n - 1, (mean - margin) / error), stdtr(n - 1, -(mean + margin) / error))
    return float(outside), float(2 * stdtr(n - 1, -abs(mean) / error))


def seeds_needed(differences: Array, margin: float) -> int | None:
    """About how many paired seeds would answer with power 0.8, if mean and spread stay what they are.

    The smaller of what equality would take, ``((z_alpha + z_power) s / (margin - |mean|))²``, and of
    what a difference would take, ``((z_alpha/2 + z_power) s / |mean|)²`` (Chow, Shao and Wang 2008,
    section 3.1, normal approximation), and one or two more for Student's t.
    """
    mean, spread = abs(float(differences.mean())), float(differences.std(ddof=1))
    wanted = []
    if mean < margin:
        wanted.append(((_Z_ONE_SIDED + _Z_BOTH_TESTS) * spread / (margin - mean)) ** 2 + 1.4)
    if mean > 0:
        wanted.append(((_Z_TWO_SIDED + _Z_POWER) * spread / mean) ** 2 + 1.9)
    return max(len(differences) + 1, math.ceil(min(wanted))) if wanted else None
