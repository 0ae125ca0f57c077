"""Test scores compared for the population: what records of single samples add to the interval over seeds."""

import msgspec
import numpy as np
import pytest
from support.made_records import seeds_of
from support.made_runs import compared

from harness.core.training.measures import ACCURACY, Measure
from harness.core.training.scoring import Rows, packed
from harness.learning.runs.population import paired_scores

LOSS = Measure("loss", "mean squared error", "", 1.0, higher_is_better=False, margin=0.05, relative=True)
SAMPLES = 1000


def sampled_records(backend, right, *, losses=None, **changes):
    """A record for each row of ``right (seeds, samples)``, whose scores are the means of its samples."""
    losses = 1.0 - np.asarray(right) / 2 if losses is None else losses

    def scores(seed):
        return {"loss": float(np.mean(losses[seed])), "accuracy": float(np.mean(right[seed]))}

    def samples(seed):
        return packed(Rows(np.asarray(losses[seed], float), np.asarray(right[seed], float)))

    changes |= {"test_at_last": scores, "test_at_best": scores}
    changes |= {"test_samples_at_last": samples, "test_samples_at_best": samples}
    return seeds_of(backend, range(len(right)), **changes)


def over(scores):
    """The mean difference with its interval over seeds."""
    return scores.equivalence(1.0).over_seeds


def population_of(scores):
    """The mean difference with its interval for the population."""
    return scores.equivalence(1.0).population


def _two_configurations(seed=0, seeds=5, *, advantage=0.02):
    """Two configurations that differ on the same samples at every seed, the second one slower."""
    random = np.random.default_rng(seed)
    hard = random.uniform(size=SAMPLES)
    ours = (hard[None] < 0.8) ^ (random.uniform(size=(seeds, SAMPLES)) < 0.002)
    other = hard.copy()
    changed = random.permutation(SAMPLES)[:200]
    other[changed] = random.uniform(size=200)
    theirs = (other[None] < 0.8 - advantage) ^ (random.uniform(size=(seeds, SAMPLES)) < 0.002)
    return ours, theirs


def test_the_population_has_the_wider_interval_and_gives_the_verdict():
    ours, theirs = _two_configurations()
    jax = sampled_records("jax", ours, step=0.005)
    torch = sampled_records("torch", theirs, step=0.01)
    found = paired_scores(torch, jax, ACCURACY)
    over_seeds, population = over(found), population_of(found)
    assert over_seeds.value == population.value == pytest.approx(100 * (theirs.mean() - ours.mean()))
    assert population.high - population.low > 2 * (over_seeds.high - over_seeds.low)
    assert found.wider() == population
    assert over_seeds.excludes(0.0)
    (pair,) = compared(*jax, *torch).pairs
    assert (pair.quality.difference, pair.quality.over_seeds) == (population, over_seeds)
    assert pair.quality_verdict == "undecided"
    without = [msgspec.structs.replace(each, test_samples_at_last=None) for each in [*jax, *torch]]
    (pair,) = compared(*without).pairs
    assert (pair.quality.difference, pair.quality.population) == (over_seeds, None)
    assert pair.quality_verdict != "undecided"


def test_equal_programs_on_new_test_sets_are_seldom_called_different():
    """Two networks that err on different samples but equally often: the population decides, not this set."""
    by_seeds = by_population = 0
    for seed in range(100):
        ours, theirs = _two_configurations(seed, advantage=0.0)
        found = paired_scores(sampled_records("jax", ours), sampled_records("torch", theirs), ACCURACY)
        by_population += found.wider().excludes(0.0)
        by_seeds += over(found).excludes(0.0)
    assert by_population <= 10
    assert by_seeds > 40


def test_the_weights_of_the_best_epoch_have_their_own_samples():
    right = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 0, 1]], float)
    best = packed(Rows(np.zeros(4), np.ones(4)))
    records = [
        msgspec.structs.replace(
            record, best_epoch=1, test_at_best={"loss": 0.0, "accuracy": 1.0}, test_samples_at_best=best
        )
        for record in sampled_records("torch", right)
    ]
    found = paired_scores(records, records, ACCURACY, our_best=True)
    assert found.differences.tolist() == [25.0, 25.0, 25.0]
    assert found.sampling is not None
    last_is_best = [msgspec.structs.replace(record, best_epoch=2) for record in records]
    assert last_is_best[0].test_samples(best=True) == last_is_best[0].test_samples_at_last


@pytest.mark.parametrize(
    "changes",
    [
        {"test_samples_at_last": None},
        {"test_samples_at_last": packed(Rows(np.ones(7), np.ones(7)))},
    ],
)
def test_one_run_without_the_same_samples_leaves_the_interval_over_seeds(changes):
    ours, theirs = _two_configurations(seeds=4)
    first, second = sampled_records("jax", ours), sampled_records("torch", theirs)
    second[2] = msgspec.structs.replace(second[2], **changes)
    found = paired_scores(second, first, ACCURACY)
    assert (found.sampling, population_of(found)) == (None, None)
    assert found.wider() == over(found)


def test_two_seeds_have_no_interval():
    ours, theirs = _two_configurations(seeds=2)
    found = paired_scores(sampled_records("jax", ours), sampled_records("torch", theirs), ACCURACY)
    assert (found.wider().low, population_of(found)) == (None, None)
    assert found.equivalence(1.0).verdict == "undecided"


def test_other_measures_are_compared_over_seeds():
    ours, _ = _two_configurations()
    distance = msgspec.structs.replace(ACCURACY, key="frechet_distance", higher_is_better=False)
    records = [
        msgspec.structs.replace(record, test_at_last={"loss": 1.0, "frechet_distance": 2.0})
        for record in sampled_records("jax", ours)
    ]
    assert paired_scores(records, records, distance).sampling is None


def test_windows_of_one_text_are_taken_in_blocks():
    random = np.random.default_rng(5)
    shares = random.integers(0, 65, (3, 100)) / 64
    found = paired_scores(sampled_records("jax", shares), sampled_records("torch", shares[::-1]), LOSS)
    assert found.sampling.sample_degrees == 9


def test_the_group_is_compared_as_before_where_nothing_is_known_of_samples():
    (pair,) = compared(*seeds_of("jax", range(4)), *seeds_of("torch", range(4))).pairs
    assert pair.quality.population is None
    assert pair.quality.difference == pair.quality.over_seeds
