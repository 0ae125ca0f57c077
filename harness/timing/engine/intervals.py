"""The interval of the mean of log ratios. The unit is the pair: steps of one process are not independent."""

import math

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import mean_interval

_BOOTSTRAP_RESAMPLES = 10_000
#: With fewer pairs there are too few different resamples, and the interval is Student's.
_FEWEST_FOR_RESAMPLES = 5
#: The share of the resamples beyond each end of an interval.
_TAIL = 0.025
#: A resample's standard error is taken to be at least this share of that of all pairs. A resample without the
#: only outlier among pairs that hardly vary would otherwise have an unbounded t.
_LEAST_ERROR_SHARE = 0.1
_SEED = 20


def bootstrap_interval(log_ratios: np.ndarray) -> Estimate:
    """Return the mean of log ratios ``(pairs,)``, with its 95 % bootstrap-t interval.

    After Efron and Tibshirani (1993, section 12.5). The deviation of the mean is studentised, which keeps the
    level with few pairs, where the percentile interval is too short. With 3 or 4 pairs the interval is that
    of Student (1908); with fewer there is none.
    """
    values = np.asarray(log_ratios, float)
    pairs, mean = len(values), float(values.mean())
    if pairs < _FEWEST_FOR_RESAMPLES:
        return mean_interval(values) or Estimate(mean, None, None, pairs)
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
    """Return the standard error of the mean over the last axis."""
    error: np.ndarray = values.std(-1, ddof=1) / math.sqrt(values.shape[-1])
    return error
