"""Intervals of means: in logarithms for times, within the possible values for scores."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from harness.stats.estimate import Estimate
from harness.stats.intervals import (
    bounded_interval,
    geometric_interval,
    mean_interval,
    quantile_interval,
    spread_of_best,
    with_further_error,
)


@pytest.mark.parametrize("interval", [mean_interval, geometric_interval])
@pytest.mark.parametrize("values", [[1.5], [1.5, 2.5]])
def test_fewer_than_three_values_have_no_interval(interval, values):
    made = interval(values)
    assert (made.low, made.high, made.n) == (None, None, len(values))


def test_the_interval_of_times_is_students_in_logarithms():
    seconds = [1.0, 1.2, 30.0]
    made, logs = geometric_interval(seconds), np.log(seconds)
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / 3**0.5
    ends = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    assert (made.value, made.low, made.high) == pytest.approx(tuple(ends))
    assert made.low > 0


def test_the_interval_of_shares_is_students_on_the_logit_scale():
    values = np.array([97.0, 99.0, 99.9])
    mean, made = values.mean(), bounded_interval(values, 100.0)
    half = stats.t.ppf(0.975, 2) * values.std(ddof=1) / 3**0.5 / 100
    share = mean / 100
    ends = 100 * special.expit(special.logit(share) + np.array([-1, 1]) * half / (share * (1 - share)))
    assert (made.value, made.low, made.high) == pytest.approx((mean, *ends))


def test_in_the_middle_of_the_range_it_is_about_students():
    values = [52.0, 52.4, 51.8, 52.2]
    plain, bounded = mean_interval(values), bounded_interval(values, 100.0)
    assert (bounded.low, bounded.high) == pytest.approx((plain.low, plain.high), abs=0.01)


@settings(deadline=None)  # the first call imports SciPy
@example([0.0, 0.0, 2.2e-309], 100.0)
@given(st.lists(st.floats(0, 100), min_size=3, max_size=9), st.sampled_from([100.0, None]))
def test_no_end_is_impossible(values, upper):
    made = bounded_interval(values, upper)
    assert 0 <= made.low <= made.value * (1 + 1e-9)
    assert made.value * (1 - 1e-9) <= made.high
    assert upper is None or made.high <= upper


@pytest.mark.parametrize("values", [[0.0] * 3, [100.0] * 4])
def test_equal_values_at_a_bound_are_their_own_interval(values):
    made = bounded_interval(values, 100.0)
    assert made.low == made.value == made.high == values[0]


@pytest.mark.parametrize(("share", "count"), [(0.5, 12), (0.95, 200), (0.99, 400)])
def test_the_interval_of_a_quantile_covers_it_whatever_the_distribution(share, count):
    chance = np.random.default_rng(3)
    true = -math.log(1 - share)  # of exponential times
    covered = [quantile_interval(chance.exponential(size=count), share).around(true) for _ in range(400)]
    assert 370 <= sum(covered) <= 400


@pytest.mark.parametrize(("share", "fewest"), [(0.95, 72), (0.99, 368)])
def test_a_quantile_of_few_values_has_no_interval(share, fewest):
    assert quantile_interval(range(fewest - 1), share).low is None
    assert quantile_interval(range(fewest), share).high == fewest - 1


def test_the_luck_of_the_best_of_several_trials():
    values = [3.0, 1.0, 2.0]
    draws = np.random.default_rng(0).choice(values, (200_000, 3)).max(axis=1)
    assert spread_of_best(values) == pytest.approx(draws.std(), rel=0.01)
    assert spread_of_best([4.0]) == spread_of_best([2.0, 2.0]) == 0.0


def test_a_further_error_makes_an_interval_wider():
    estimate = Estimate(1.0, 0.0, 3.0, 5)
    wider = with_further_error(estimate, 2.0, 0.95)
    assert wider.low == pytest.approx(1.0 - np.hypot(1.0, 1.96 * 2.0), abs=1e-3)
    assert wider.high == pytest.approx(1.0 + np.hypot(2.0, 1.96 * 2.0), abs=1e-3)
    assert with_further_error(estimate, 0.0) is estimate
    assert with_further_error(Estimate(1.0, None, None, 2), 2.0) == Estimate(1.0, None, None, 2)
