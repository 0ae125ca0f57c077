"""The samples that DP-SGD draws, its canaries, and the bound of an audit."""

import math

import msgspec
import numpy as np
import pytest
from support.tasks import defined

from harness.core.stats.canaries import epsilon_bound, p_value
from harness.core.training import batches
from harness.core.training.batches import BatchOrder, capacity_of
from harness.core.training.splits import with_canaries
from harness.errors import HarnessError, UsageError
from harness.spec.backend import Unsupported
from harness.spec.data import Samples

SAMPLES, BATCH_SIZE = 600, 60
ORDER = BatchOrder(SAMPLES, BATCH_SIZE, seed=3, sampled=True)


@pytest.fixture(scope="module")
def included():
    """Which samples take part ``(steps, samples)``."""
    taken = np.zeros((400, SAMPLES), bool)
    for step in range(0, 400, 10):
        steps = ORDER.steps(step, 10)
        for row, (indices, mask) in enumerate(zip(steps.indices, steps.included, strict=True)):
            taken[step + row, indices[mask]] = True
            assert mask[: mask.sum()].all()  # what takes part comes first
            assert len(set(indices[mask])) == mask.sum()
    return taken


def test_each_sample_takes_part_in_each_step_on_its_own_at_the_rate_of_the_claim(included):
    steps, samples = included.shape
    rate = ORDER.sampling_rate
    assert rate == BATCH_SIZE / SAMPLES
    assert abs(included.mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / included.size)
    # The numbers of a step vary as those of independent draws do; without replacement they would be equal.
    spread = included.sum(axis=1).var(ddof=1) / (samples * rate * (1 - rate))
    assert abs(spread - 1) < 5 * math.sqrt(2 / (steps - 1))
    spread = included.sum(axis=0).var(ddof=1) / (steps * rate * (1 - rate))
    assert abs(spread - 1) < 5 * math.sqrt(2 / (samples - 1))


def test_steps_do_not_depend_on_the_calls_that_ask_for_them():
    whole, part = ORDER.steps(3, 5), ORDER.steps(5, 1)
    assert np.array_equal(whole.indices[2], part.indices[0])
    assert np.array_equal(whole.noise_seeds[2], part.noise_seeds[0])
    assert len(np.unique(whole.noise_seeds, axis=0)) == 5


def test_all_steps_of_an_epoch_are_full():
    order = BatchOrder(65, 10, seed=0, sampled=True)
    assert order.steps_per_epoch == order.full_steps == 7
    assert order.steps(0, 7).indices.shape == (7, capacity_of(65, 10))


def test_what_does_not_fit_into_a_batch_is_an_error(monkeypatch):
    monkeypatch.setattr(batches, "capacity_of", lambda _, batch_size: batch_size)
    with pytest.raises(HarnessError, match="void epsilon"):
        ORDER.steps(0, 10)


def test_a_batch_holds_what_is_drawn_but_for_a_probability_of_1e_9():
    from scipy.stats import binom

    for samples, size in ((3600, 100), (45_000, 64), (500, 400), (27, 8)):
        capacity = capacity_of(samples, size)
        assert binom.sf(capacity, samples, size / samples) <= 1e-9
        assert capacity <= size + 9 * math.sqrt(size) + 10


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("mlp", ["dp_noise=1"], "needs a dp_clip"),
        ("mlp", ["dp_delta=1e-6"], "needs a dp_clip"),
        ("mlp", ["dp_canaries=10"], "needs a dp_clip"),
        ("mlp", ["dp_clip=1", "optimizer=gd"], "another optimizer than gd"),
        ("mlp", ["dp_clip=1", "clients=2"], "have no epsilon here"),
        ("mlp", ["dp_clip=1", "imbalance=0.1", "rebalance=weights"], "rebalance=none"),
        ("resnet", ["dp_clip=1"], "BatchNorm .*; use GroupNorm"),
    ],
)
def test_options_that_exclude_each_other_are_refused(task, options, message):
    with pytest.raises(UsageError, match=message):
        defined(task, *options)


def test_without_options_a_task_keeps_its_hash():
    assert b"privacy" not in msgspec.json.encode(defined("mlp"))


# The bound of an audit.


def test_coins_refute_nothing_and_right_guesses_refute_much():
    rng = np.random.default_rng(0)
    included = rng.random(1000) < 0.5
    assert epsilon_bound(rng.normal(size=1000), included, 1e-5).epsilon < 0.3
    assert epsilon_bound(included.astype(float), included, 0.0).epsilon > 4


def test_the_bound_holds_for_randomised_response():
    """Each bit is reported right with the probability e^eps / (1 + e^eps), which is (eps, 0)-private."""
    epsilon, exceeded = 1.0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        included = rng.random(400) < 0.5
        kept = rng.random(400) < 1 / (1 + math.exp(-epsilon))
        scores = np.where(included == kept, 1.0, -1.0) + 1e-3 * rng.random(400)
        exceeded += epsilon_bound(scores, included, 0.0).epsilon > epsilon
    assert exceeded <= 0.05 * 200 + 5


def test_without_delta_the_probability_is_that_of_the_binomial_distribution():
    from scipy.stats import binom

    chance = 1 / (1 + math.exp(-0.7))
    assert p_value(100, 20, 15, 0.7, 0.0) == pytest.approx(binom.sf(14, 20, chance))
    assert p_value(100, 20, 15, 0.7, 1e-3) > p_value(100, 20, 15, 0.7, 0.0)


def _with_canaries(seed, count=200):
    task = defined("mlp", "dp_clip=1", f"dp_canaries={count}")
    rng = np.random.default_rng(0)
    train = Samples(np.arange(300.0)[:, None, None].repeat(40, axis=1), rng.integers(10, size=300))
    return train, *with_canaries(train, task, seed)


def test_canaries_have_wrong_classes_and_take_part_by_a_coin():
    train, kept, canaries = _with_canaries(seed=1)
    rows = canaries.samples.inputs[:, 0, 0].astype(int)
    assert len(set(rows)) == 200
    assert (canaries.samples.targets != train.targets[rows]).all()
    assert 70 < canaries.included.sum() < 130
    assert len(kept) == 300 - (~canaries.included).sum()
    of_row = dict(zip(kept.inputs[:, 0, 0].astype(int).tolist(), kept.targets.tolist(), strict=True))
    for row, target, took_part in zip(
        rows.tolist(), canaries.samples.targets, canaries.included, strict=True
    ):
        assert of_row.get(row) == (target if took_part else None)


def test_only_the_coins_depend_on_the_seed():
    (_, _, first), (_, _, second) = _with_canaries(seed=1), _with_canaries(seed=2)
    assert np.array_equal(first.samples.targets, second.samples.targets)
    assert not np.array_equal(first.included, second.included)


def test_more_canaries_than_samples_are_refused():
    with pytest.raises(Unsupported, match="301 canaries are more than the 300 training samples"):
        _with_canaries(seed=1, count=301)
