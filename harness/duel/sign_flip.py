"""Inference from the log ratios of pairs: an exact test and an interval.

The unit is the pair of fresh processes, for the steps of one process share its luck. Under the null
hypothesis the sign of each pair's log ratio is a coin toss, because chance decided which side went
first; nothing else is assumed of how the ratios are distributed.
"""

import math
from typing import Literal, NamedTuple

import numpy as np

#: Up to so many pairs all sign patterns are counted; beyond, as many of them are drawn.
_EXACT_UP_TO = 16
_BOOTSTRAP_RESAMPLES = 10_000
_FEWEST_FOR_INTERVAL = 5
_SEED = 20

Alternative = Literal["two-sided", "greater", "less"]


def p_value(log_ratios: np.ndarray, alternative: Alternative = "two-sided", shift: float = 0.0) -> float:
    """The sign-flip test (Fisher 1935, section 21) that the log ratios ``(pairs,)`` centre on ``shift``.

    The statistic is the mean; the p-value is the share of sign patterns whose mean is as extreme.
    Exact up to 16 pairs; beyond, a seeded sample of patterns is drawn. With ``n`` pairs no two-sided
    p-value is below ``2 ** (1 - n)``.
    """
    if len(log_ratios) < 2:  # noqa: PLR2004  one sign can tell nothing, and SciPy refuses
        return 1.0
    from scipy.stats import permutation_test  # with one sample, "samples" means flipped signs

    patterns = 2 ** min(len(log_ratios), _EXACT_UP_TO)
    result = permutation_test(
        (np.asarray(log_ratios, float) - shift,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=patterns,
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

    Pairs are resampled, and the mean's deviation is studentised, which holds its level for few pairs
    where the percentile interval is too short. None for fewer than 5 pairs, from which
    resampling makes too few different means.
    """
    values = np.asarray(log_ratios, float)
    pairs = len(values)
    if pairs < _FEWEST_FOR_INTERVAL:
        return None
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(pairs)
    if error == 0.0:
        return Interval(mean, mean)
    drawn = values[np.random.default_rng(_SEED).integers(0, pairs, (_BOOTSTRAP_RESAMPLES, pairs))]
    errors = drawn.std(axis=1, ddof=1) / math.sqrt(pairs)
    varied = errors > 0.0  # a resample of one pair alone has no t
    t = (drawn.mean(axis=1)[varied] - mean) / errors[varied]
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(t, [tail, 1.0 - tail])
    return Interval(mean - high * error, mean - low * error)


def smallest_p_value(pairs: int, alternative: Alternative = "two-sided") -> float:
    """Below which no p-value of so many pairs can be."""
    exact = pairs <= _EXACT_UP_TO
    smallest = 2.0**-pairs if exact else 1 / (2**_EXACT_UP_TO + 1)
    return 2 * smallest if alternative == "two-sided" else smallest
