"""Intervals of means, errors over seeds and samples that are crossed, and equivalence."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from harness.core.stats.equivalence import equivalence, equivalence_of, mean_intervals, seeds_needed
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import (
    bounded_interval,
    geometric_interval,
    mean_interval,
    quantile_interval,
    resampled_means,
    spread_of_best,
    with_further_error,
)
from harness.core.stats.sampling import Sampling, sampling


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


# The error of a mean over seeds and samples that are crossed, on numbers whose variances are known.


def _table(random, seeds, samples, *, of_seed=0.0, of_sample=0.0, rest=1.0, mean=0.0):
    return (
        mean
        + of_seed * random.normal(size=(seeds, 1))
        + of_sample * random.normal(size=(1, samples))
        + rest * random.normal(size=(seeds, samples))
    )


def test_the_mean_squares_are_those_of_a_two_way_analysis_of_variance():
    values = _table(np.random.default_rng(0), 3, 5, of_seed=1.0, of_sample=2.0)
    found = sampling(values)
    seeds, samples, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    between = 3 * np.sum((samples - mean) ** 2) / 4
    left = sum((values[i, j] - seeds[i] - samples[j] + mean) ** 2 for i in range(3) for j in range(5)) / 8
    assert (found.samples, found.rest) == pytest.approx((between / 15, left / 15))
    assert (found.sample_degrees, found.rest_degrees) == (4, 8)


@pytest.mark.parametrize("of_seed", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("of_sample", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("seeds", [3, 6])
def test_the_wider_interval_contains_the_mean_of_the_population(seeds, of_seed, of_sample):
    random, contained, repetitions = np.random.default_rng(1), 0, 400
    for _ in range(repetitions):
        values = _table(random, seeds, 100, of_seed=of_seed, of_sample=of_sample, mean=0.5)
        ends = mean_intervals(values.mean(axis=1), sampling(values))
        contained += any(each.low <= 0.5 <= each.high for each in ends)
    assert contained / repetitions > 0.92  # 2.7 standard errors of a share of 0.95


def test_seeds_alone_do_not_contain_it():
    random, contained = np.random.default_rng(2), 0
    for _ in range(400):
        values = _table(random, 6, 100, of_seed=0.05, of_sample=3.0, mean=0.5)
        over_seeds, _ = mean_intervals(values.mean(axis=1), None)
        contained += over_seeds.low <= 0.5 <= over_seeds.high
    assert contained / 400 < 0.6


def test_without_an_effect_of_samples_nothing_is_added():
    values = np.array([[1.0, 2.0, 1.0, 2.0], [2.0, 1.0, 2.0, 1.0], [1.5, 1.5, 1.5, 1.5]])
    found = sampling(values)
    assert found.variance == 0.0
    over_seeds, population = mean_intervals(values.mean(axis=1), found)
    assert over_seeds == population


def test_neighbours_that_are_alike_count_as_one():
    random = np.random.default_rng(3)
    blocks = np.repeat(random.normal(size=(1, 20)), 50, axis=1)
    values = blocks + random.normal(size=(4, 1000))
    one_by_one, in_blocks = sampling(values), sampling(values, units=20)
    assert in_blocks.sample_degrees == 19
    assert in_blocks.variance > 20 * one_by_one.variance
    assert sampling(values, units=1000) == one_by_one


def test_a_test_set_that_is_too_small_is_not_helped_by_seeds():
    random = np.random.default_rng(4)
    values = _table(random, 5, 50, of_sample=2.0, rest=0.1, mean=1.0)
    differences, found = values.mean(axis=1), sampling(values)
    result = equivalence_of(differences, 0.05, sampling=found)
    assert equivalence_of(differences, 0.05).verdict == "different"
    assert result.verdict in {"undecided", "different"}
    assert result.p > equivalence_of(differences, 0.05).p
    undecided = equivalence_of(differences - differences.mean() + 0.2, 0.05, sampling=found)
    assert undecided.needs_samples
    assert undecided.difference == undecided.population
    assert undecided.over_seeds.high < undecided.population.high
    assert seeds_needed(differences - differences.mean() + 0.2, 0.05) is not None


@pytest.mark.parametrize("shape", [(1, 10), (3, 1)])
def test_one_seed_or_one_sample_tells_nothing(shape):
    assert sampling(np.ones(shape)) is None


def test_few_degrees_do_not_explode():
    part = Sampling(samples=1.0000001, rest=1.0, sample_degrees=100, rest_degrees=200)
    _, degrees = part.added_to(0.0, 2)
    assert degrees == 2


# Equal, different or undecided: compared with SciPy's own tests, and with little or no spread.


def _by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("seed", range(6))
def test_p_values_are_those_of_scipy(seed):
    random = np.random.default_rng(seed)
    ours, theirs = random.normal(60 + seed / 3, 1, 8), random.normal(60, 1, 8)
    result = equivalence(_by_seed(ours), _by_seed(theirs), margin=1.0)
    above = stats.ttest_1samp(ours - theirs, -1.0, alternative="greater").pvalue
    below = stats.ttest_1samp(ours - theirs, 1.0, alternative="less").pvalue
    expected = max(above, below) if result.verdict == "equal" else stats.ttest_rel(ours, theirs).pvalue
    assert result.p == pytest.approx(expected)
    assert (max(above, below) < 0.05) == (result.verdict == "equal")
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (result.difference.low, result.difference.high) == pytest.approx((interval.low, interval.high))


def test_three_verdicts():
    base = [60.0, 61.0, 59.5, 60.5, 60.2]
    near = [value + shift for value, shift in zip(base, [0.1, -0.1, 0.2, 0.0, -0.2], strict=True)]
    far = [value + shift for value, shift in zip(base, [3.0, 2.8, 3.3, 2.9, 3.1], strict=True)]
    noisy = [value + shift for value, shift in zip(base, [3.0, -2.5, 4.0, -3.0, 1.0], strict=True)]
    assert equivalence(_by_seed(near), _by_seed(base), 1.0).verdict == "equal"
    assert equivalence(_by_seed(far), _by_seed(base), 1.0).verdict == "different"
    result = equivalence(_by_seed(noisy), _by_seed(base), 1.0)
    assert result.verdict == "undecided"
    assert result.seeds_needed > 5


def test_a_significant_difference_below_the_margin_is_equal():
    base = np.array([60.0, 61.0, 59.5, 60.5])
    result = equivalence(_by_seed(np.add(base, [0.30, 0.31, 0.29, 0.30])), _by_seed(base), 1.0)
    assert result.difference.low > 0
    assert result.verdict == "equal"


def test_only_common_seeds_count_and_two_are_not_enough():
    common = {0: 1.0, 1: 2.0, 2: 3.0}
    result = equivalence(common | {7: 50.0}, common | {8: 0.0}, 1.0)
    assert (result.verdict, result.difference.n) == ("equal", 3)
    two = equivalence({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}, 1.0)
    assert (two.verdict, two.p, two.difference.low, two.seeds_needed) == ("undecided", None, None, 3)
    single = equivalence({0: 1.0}, {0: 1.0}, 1.0)
    assert (single.verdict, single.p, single.difference.low) == ("undecided", None, None)
    assert equivalence({0: 1.0}, {1: 1.0}, 1.0).difference is None


def test_differences_without_spread():
    assert equivalence(_by_seed([1, 1, 1]), _by_seed([1, 1, 1]), 1.0).verdict == "equal"
    assert equivalence(_by_seed([5, 5, 5]), _by_seed([1, 1, 1]), 1.0).verdict == "different"


def test_seeds_needed_gives_about_the_stated_power():
    # About four fifths of the experiments with this number of seeds find equality.
    sample = stats.zscore(np.arange(8.0), ddof=1)
    n = seeds_needed(sample, margin=1.0)
    random = np.random.default_rng(0)
    equal = [
        equivalence(_by_seed(random.normal(0, 1, n)), _by_seed(np.zeros(n)), 1.0).verdict == "equal"
        for _ in range(400)
    ]
    assert 0.72 < np.mean(equal) < 0.92


def test_one_value_has_no_interval():
    assert mean_interval([2.0]) == Estimate(2.0, None, None, 1)
    assert mean_interval([]) is None
    assert geometric_interval([2.0, 8.0]).value == pytest.approx(4.0)


def test_zero_has_no_sign():
    turned = Estimate(0.0, -1.0, 0.0, 2).negated()
    assert str((turned.value, turned.low, turned.high)) == "(0.0, 0.0, 1.0)"


def test_curves_are_resampled_as_a_whole():
    # Each mean must be a mix of the two curves, the same mix at every epoch.
    curves = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
    means = resampled_means(curves)
    assert set(np.unique(means[:, 0])) == {0.0, 0.5, 1.0}
    assert np.array_equal(means, means[:, :1] * [1.0, 2.0, 4.0])


def test_one_of_several_comparisons_uses_its_share_of_the_level():
    differences = np.array([1.0, 2.1, 2.9, 4.0])
    alone, one_of_ten = (equivalence_of(differences, 0.1, comparisons) for comparisons in (1, 10))
    assert (alone.verdict, one_of_ten.verdict) == ("different", "undecided")
    assert alone.p == one_of_ten.p < 0.05
    assert one_of_ten.difference.high > alone.difference.high
    assert one_of_ten.seeds_needed > 4
