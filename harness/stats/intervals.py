"""Means and ratios over few seeds with their intervals: Student's for scores, the bootstrap for curves."""

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.stats.estimate import Estimate

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 1000


def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(degrees, probability))


def joint_confidence(intervals: int) -> float:
    """The confidence of each of several intervals that hold jointly at 95 % (Bonferroni; Dunn 1961)."""
    return 1 - (1 - CONFIDENCE) / max(1, intervals)


def mean_interval(values: Sequence[float] | Array, confidence: float = CONFIDENCE) -> Estimate | None:
    """The mean of finite values with Student's interval (1908); None without values."""
    sample = np.asarray(values, np.float64)
    sample = sample[np.isfinite(sample)]
    n = len(sample)
    if n == 0:
        return None
    mean = float(sample.mean())
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = student_quantile((1 + confidence) / 2, n - 1) * float(sample.std(ddof=1)) / n**0.5
    return Estimate(mean, mean - half, mean + half, n)


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
