"""The sign-flip test and the bootstrap interval: compared with SciPy, by counting and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from harness.gate.judgement import LOOK_PAIRS
from harness.stats.evidence import EXACT_UP_TO, MOST_PAIRS, bootstrap_interval, p_value, smallest_p_value


def test_exact_p_values():
    ratios = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.05, 0.1, 0.2])
    assert p_value(ratios) == 2 / 256
    assert p_value(ratios, "greater") == 1 / 256
    assert p_value(ratios, "less") == 1.0
    assert p_value(ratios - 0.5, "less") == 1 / 256
    assert (
        p_value(np.array([1.0, 1.0, -1.0])) == 1.0
    )  # of 8 sums, two are 3, two -3, four are ±1: all as extreme


def test_p_value_counts_every_pattern():
    ratios = np.array([3.0, -1.0, 2.0])
    sums = [a * 3 + b * 1 + c * 2 for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    assert p_value(ratios) == sum(abs(total) >= 4 for total in sums) / 8


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=9), st.sampled_from([0.0, 0.3, 1.0]))
def test_p_value_is_scipys(alternative, values, shift):
    """Whole numbers make sums tie, and ties count as extreme."""
    expected = permutation_test(
        (np.array(values) - shift,), np.mean, permutation_type="samples", alternative=alternative
    )
    assert p_value(np.array(values) - shift, alternative) == pytest.approx(expected.pvalue, abs=1e-12)


def test_every_gate_and_duel_is_within_the_exact_range():
    assert LOOK_PAIRS + MOST_PAIRS <= EXACT_UP_TO


@pytest.mark.parametrize("pairs", [17, 28, 44])
def test_p_value_is_exact_up_to_the_most_pairs_of_a_gate(pairs):
    """All ones: of 2 ** n sums, those with at most one sign flipped are at least n - 2."""
    ones = np.ones(pairs)
    assert p_value(ones, "greater") == 0.5**pairs
    assert p_value(-ones, "greater") == 1.0
    ones[3] = -1.0
    assert p_value(ones, "greater") == (1 + pairs) * 0.5**pairs
    assert p_value(-ones, "less") == (1 + pairs) * 0.5**pairs
    assert p_value(ones) == 2 * (1 + pairs) * 0.5**pairs


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_p_value_is_symmetric(ratios):
    ratios = np.array(ratios)
    assert p_value(ratios) == pytest.approx(p_value(-ratios))
    assert 2.0 ** (1 - len(ratios)) <= p_value(ratios) <= 1.0


@pytest.mark.parametrize("pairs", [4, 9, 16, 24])
def test_the_smallest_p_value_is_that_of_one_sign(pairs):
    ratios = np.linspace(1.0, 2.0, pairs)
    assert p_value(ratios) == pytest.approx(smallest_p_value(pairs), rel=0.01)
    assert p_value(ratios, "greater") == pytest.approx(smallest_p_value(pairs, "greater"), rel=0.01)


def test_one_pair_shows_nothing():
    assert p_value(np.array([0.7])) == 1.0
    assert bootstrap_interval(np.array([0.7, 0.8, 0.9, 0.6])).low is None


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
