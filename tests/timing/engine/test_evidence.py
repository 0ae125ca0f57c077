"""Evidence that may be looked at after every pair, and the interval of the mean of log ratios."""

import itertools
import math

import numpy as np
import pytest

from harness.core.stats.intervals import mean_interval
from harness.timing.engine.evidence import FEWEST_PAIRS, evidence_p_value, log_evidence, more_pairs
from harness.timing.engine.intervals import bootstrap_interval

LIMIT = math.log1p(0.05)


@pytest.mark.parametrize("outliers", [1.0, 8.0])
def test_it_seldom_grows_if_signs_are_coin_tosses(outliers):
    """Over every pattern of signs, which are equally likely if base and head are equal."""
    sizes = np.abs(np.random.default_rng(3).normal(0, 0.03, 10))
    sizes[[2, 7]] *= outliers
    patterns = [np.array(signs) for signs in itertools.product([-1, 1], repeat=10)]
    paths = np.array([log_evidence(signs * sizes, LIMIT) for signs in patterns])
    assert np.exp(paths[:, 3:]).mean(axis=0).max() < 1.05
    for level in (0.2, 0.05, 0.01):
        assert (paths.max(axis=1) >= -math.log(level)).mean() <= level
    assert (paths.max(axis=1) >= -math.log(0.2)).any()


def test_normal_noise_of_a_tenth_keeps_the_level():
    """Twice the least deviation that the bet on magnitudes takes for granted."""
    chance = np.random.default_rng(5)
    paths = [log_evidence(chance.normal(0, 0.1, 20), LIMIT).max() for _ in range(400)]
    assert np.mean(np.array(paths) >= math.log(100)) <= 0.01


def test_processes_of_two_modes_keep_the_level():
    """Each process is 10 % slower than the other mode, or not, as a whole."""
    chance = np.random.default_rng(6)
    shifts = 0.1 * (chance.integers(0, 2, (400, 20)) - chance.integers(0, 2, (400, 20)))
    paths = [log_evidence(values, LIMIT).max() for values in shifts + chance.normal(0, 0.01, (400, 20))]
    assert np.mean(np.array(paths) >= math.log(100)) <= 0.01


@pytest.mark.parametrize(("shift", "pairs"), [(0.07, 11), (0.1, 7), (0.15, 5), (0.4, 4), (2.0, 4)])
def test_a_large_shift_takes_few_pairs(shift, pairs):
    """At the level of each metric of a gate of two benchmarks."""
    values = shift + 0.01 * np.array([1, -1] * 6)
    assert evidence_p_value(values[: FEWEST_PAIRS - 1], LIMIT) == 1.0
    assert evidence_p_value(values[:pairs], LIMIT) <= 0.01 / 6


def test_an_outlier_tells_little_about_the_direction():
    pairs = np.full(12, 0.05) + np.random.default_rng(1).normal(0, 0.01, 12)
    with_outlier = np.append(pairs, -0.6)
    assert evidence_p_value(pairs, LIMIT) < 0.001
    assert log_evidence(with_outlier, LIMIT)[-1] > log_evidence(pairs, LIMIT)[-1] - 1


def test_pairs_that_do_not_vary_are_no_division_by_zero():
    assert evidence_p_value(np.zeros(12), LIMIT) == 1.0
    assert evidence_p_value(np.full(12, 0.05), LIMIT) < 0.001
    assert evidence_p_value(np.array([]), LIMIT) == 1.0


def test_the_forecast_is_about_what_it_takes():
    chance = np.random.default_rng(2)
    ratios = []
    for _ in range(40):
        pairs = chance.normal(0.05, 0.04, 60)
        taken = int((log_evidence(pairs, LIMIT) >= math.log(600)).argmax()) + 1
        more = more_pairs(pairs[:8], LIMIT, 1 / 600)
        ratios.append((8 + (math.inf if more is None else more)) / taken)
    assert 0.6 < np.median(ratios) < 1.6


def test_a_forecast_never_promises_what_no_pairs_can_prove():
    assert more_pairs(np.full(4, 0.1), LIMIT, 1 / 600) in {2, 3}
    assert more_pairs(np.full(4, 0.6), LIMIT, 1 / 600) == 0
    assert more_pairs(np.full(2, 0.6), LIMIT, 1 / 600) == 2
    assert more_pairs(np.full(12, 0.1), LIMIT, 1 / 600) == 0
    assert more_pairs(np.full(12, -0.1), LIMIT, 1 / 600) is None


# The interval of the mean of log ratios.


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
