"""Inference from the log ratios of pairs: an exact test and an interval.

The unit is the pair of fresh processes, because the steps of one process are not independent. Under the null
hypothesis the sign of each pair's log ratio is a coin toss, because chance decides which configuration goes
first. Nothing else is assumed about the distribution of the ratios.
"""

import functools
import math
from typing import Literal

import numpy as np

from harness.stats.estimate import Estimate

#: Up to this number of pairs all sign patterns are counted; beyond it a sample of them is drawn. A gate
#: judges at most 44 pairs (4 of its look and 40 of its confirmation), a duel 40.
EXACT_UP_TO = 44
_PATTERNS_DRAWN = 2**16
_BOOTSTRAP_RESAMPLES = 10_000
_FEWEST_FOR_INTERVAL = 5
#: The share of the resamples beyond each end of an interval.
_TAIL = 0.025
#: A resample's standard error is taken to be at least this share of that of all pairs. A resample without the
#: only outlier among pairs that hardly vary would otherwise have an unbounded t.
_LEAST_ERROR_SHARE = 0.1
_SEED = 20

Alternative = Literal["two-sided", "greater", "less"]


def p_value(
    log_ratios: np.ndarray,
    alternative: Alternative = "two-sided",
) -> float:
    """The sign-flip test (Fisher 1935, section 21) of whether log ratios ``(pairs,)`` centre on 0.

    The statistic is the mean; the p-value is the share of sign patterns whose mean is as extreme. It is exact
    up to 44 pairs; beyond, a seeded sample of patterns is drawn. With ``n`` pairs no two-sided p-value is
    below ``2 ** (1 - n)``.
    """
    if len(log_ratios) < 2:  # noqa: PLR2004  one sign shows nothing
        return 1.0
    return _share_as_extreme(tuple(np.asarray(log_ratios, float)), alternative)


@functools.lru_cache(maxsize=1024)  # the p-values of earlier looks are needed again after every pair
def _share_as_extreme(values: tuple[float, ...], alternative: Alternative) -> float:
    if len(values) > EXACT_UP_TO:
        return _drawn_share(values, alternative)
    # The 2 ** n sums are never stored: each is one of the left half's plus one of the right half's.
    half = len(values) // 2
    left, right = (np.sort(_signed_sums(part)) for part in (values[:half], values[half:]))
    observed, rounding = sum(values), 1e-12 * sum(map(abs, values))
    below = np.searchsorted(right, observed - rounding - left, "left").mean()
    up_to = np.searchsorted(right, observed + rounding - left, "right").mean()
    shares = {"greater": float(1 - below / len(right)), "less": float(up_to / len(right))}
    return shares.get(alternative, min(1.0, 2 * min(shares.values())))


def _signed_sums(values: tuple[float, ...]) -> np.ndarray:
    """The sum of the values under every pattern of signs, ``(2 ** values,)``."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _drawn_share(values: tuple[float, ...], alternative: Alternative) -> float:
    from scipy.stats import permutation_test  # with one sample, "samples" means flipped signs

    result = permutation_test(
        (np.array(values),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PATTERNS_DRAWN,
        alternative=alternative,
        rng=np.random.default_rng(_SEED),
    )
    return float(result.pvalue)


def bootstrap_interval(log_ratios: np.ndarray) -> Estimate:
    """The mean of log ratios ``(pairs,)``, with its 95 % bootstrap-t interval.

    After Efron and Tibshirani (1993, section 12.5). The deviation of the mean is studentised, which keeps the
    level with few pairs, where the percentile interval is too short. There is no interval for fewer than 5
    pairs: they have too few different resamples.
    """
    values = np.asarray(log_ratios, float)
    pairs, mean = len(values), float(values.mean())
    if pairs < _FEWEST_FOR_INTERVAL:
        return Estimate(mean, None, None, pairs)
    error = float(_standard_error(values))
    if error == 0.0:
        return Estimate(mean, mean, mean, pairs)
    drawn = values[np.random.default_rng(_SEED).integers(0, pairs, (_BOOTSTRAP_RESAMPLES, pairs))]
    means, errors = drawn.mean(-1), _standard_error(drawn)
    varied = errors > 1e-9 * error  # a resample that repeats one pair has no t
    t = (means[varied] - mean) / np.maximum(errors[varied], _LEAST_ERROR_SHARE * error)
    low, high = np.quantile(t, [_TAIL, 1.0 - _TAIL])
    return Estimate(mean, mean - float(high) * error, mean - float(low) * error, pairs)


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the last axis."""
    error: np.ndarray = values.std(-1, ddof=1) / math.sqrt(values.shape[-1])
    return error


def smallest_p_value(pairs: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p-value that this number of pairs can have."""
    exact = pairs <= EXACT_UP_TO
    smallest = 2.0**-pairs if exact else 1 / (_PATTERNS_DRAWN + 1)
    return 2 * smallest if alternative == "two-sided" else smallest
