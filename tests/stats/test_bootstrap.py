"""The interval of the mean of log ratios."""

import math

import numpy as np
import pytest

from harness.stats.evidence import bootstrap_interval
from harness.stats.intervals import mean_interval


def test_few_pairs_have_students_interval_and_two_none():
    logs = np.array([0.7, 0.8, 0.9, 0.6])
    assert bootstrap_interval(logs) == mean_interval(logs)
    assert bootstrap_interval(logs[:2]).low is None


def test_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        interval = bootstrap_interval(rng.normal(0.05, 0.02, 10))
        covered += interval.around(0.05)
    assert 180 <= covered <= 200  # 95 % of 200 is 190


@pytest.mark.parametrize("pairs", [5, 10, 20])
def test_one_outlier_among_pairs_that_hardly_vary_has_a_finite_interval(pairs):
    """As of peak memory. Resamples without the outlier have almost no error, and an unbounded t."""
    logs = np.random.default_rng(0).normal(0, 1e-6, pairs)
    logs[2] = math.log(2)
    interval = bootstrap_interval(logs)
    assert interval.low < logs.mean() < interval.high < 2.0
