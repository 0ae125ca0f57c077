"""Inference from the log ratios of pairs: an exact test and an interval.

The unit is the pair of fresh processes, for the steps of one process share its luck. Under the null
hypothesis the sign of each pair's log ratio is a coin toss, because chance decided which side went
first; nothing else is assumed of how the ratios are distributed.
"""

import functools
import math
from typing import Literal, NamedTuple

import numpy as np

#: Up to so many pairs all sign patterns are counted; beyond, some of them are drawn.
_EXACT_UP_TO = 40
_PATTERNS_DRAWN = 2**16
_BOOTSTRAP_RESAMPLES = 10_000
_FEWEST_FOR_INTERVAL = 5
#: Of the error of all pairs, the least that a resample's is taken for. One that leaves the only outlier out
#: of pairs that hardly vary would have a t beyond all bounds.
_LEAST_ERROR_SHARE = 0.1
_SEED = 20

Alternative = Literal["two-sided", "greater", "less"]


def p_value(
    log_ratios: np.ndarray,
    alternative: Alternative = "two-sided",
    shift: float = 0.0,
) -> float:
    """The sign-flip test (Fisher 1935, section 21) that the log ratios ``(pairs,)`` centre on ``shift``.

    The statistic is the mean; the p-value is the share of sign patterns whose mean is as extreme. Exact up
    to 40 pairs; beyond, a seeded sample of patterns is drawn. With ``n`` pairs no two-sided p-value is below
    ``2 ** (1 - n)``.
    """
    if len(log_ratios) < 2:  # noqa: PLR2004  one sign can tell nothing
        return 1.0
    return _share_as_extreme(tuple(np.asarray(log_ratios, float) - shift), alternative)


@functools.lru_cache(maxsize=1024)  # an earlier look is asked for again after every pair
def _share_as_extreme(values: tuple[float, ...], alternative: Alternative) -> float:
    if len(values) > _EXACT_UP_TO:
        return _drawn_share(values, alternative)
    # All 2 ** n sums are never written down: a sum is one of each half's, and those of a half are sorted.
    half = len(values) // 2
    left, right = (np.sort(_signed_sums(part)) for part in (values[:half], values[half:]))
    seen, rounding = sum(values), 1e-12 * sum(map(abs, values))
    below = np.searchsorted(right, seen - rounding - left, "left").mean()
    up_to = np.searchsorted(right, seen + rounding - left, "right").mean()
    shares = {"greater": float(1 - below / len(right)), "less": float(up_to / len(right))}
    return shares.get(alternative, min(1.0, 2 * min(shares.values())))


def _signed_sums(values: tuple[float, ...]) -> np.ndarray:
    """The sum of the values under every pattern of their signs, ``(2 ** values,)``."""
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


class Interval(NamedTuple):
    """A lower and an upper end."""

    low: float
    high: float


def bootstrap_interval(log_ratios: np.ndarray, confidence: float = 0.95) -> Interval | None:
    """The bootstrap-t interval of the mean log ratio (Efron and Tibshirani 1993, section 12.5).

    The mean's deviation is studentised, which holds its level for few pairs where the percentile interval
    is too short. None for fewer than 5 pairs, from which resampling makes too few different means.
    """
    values = np.asarray(log_ratios, float)
    pairs = len(values)
    if pairs < _FEWEST_FOR_INTERVAL:
        return None
    mean, error = values.mean(), _standard_error(values)
    if error == 0.0:
        return Interval(float(mean), float(mean))
    drawn = values[np.random.default_rng(_SEED).integers(0, pairs, (_BOOTSTRAP_RESAMPLES, pairs))]
    means, errors = drawn.mean(-1), _standard_error(drawn)
    varied = errors > 1e-9 * error  # a resample of one pair alone has no t
    t = (means[varied] - mean) / np.maximum(errors[varied], _LEAST_ERROR_SHARE * error)
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(t, [tail, 1.0 - tail])
    return Interval(float(mean - high * error), float(mean - low * error))


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the last axis."""
    error: np.ndarray = values.std(-1, ddof=1) / math.sqrt(values.shape[-1])
    return error


def smallest_p_value(pairs: int, alternative: Alternative = "two-sided") -> float:
    """Below which no p-value of so many pairs can be."""
    exact = pairs <= _EXACT_UP_TO
    smallest = 2.0**-pairs if exact else 1 / (_PATTERNS_DRAWN + 1)
    return 2 * smallest if alternative == "two-sided" else smallest
