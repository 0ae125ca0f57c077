"""The error of a mean over seeds and samples that are crossed, on numbers whose variances are known."""

import numpy as np
import pytest

from harness.stats.intervals import Sampling, equivalence_of, mean_intervals, sampling, seeds_needed


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
