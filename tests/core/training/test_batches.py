"""Batches: a permutation per epoch, the same for any division into blocks, and the lengths of blocks."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tasks import small_task

from harness.core.training.batches import BatchOrder, block_steps
from harness.errors import UsageError
from harness.layers import BatchNorm, Dense, Flatten

SIZES = st.integers(1, 60).flatmap(lambda samples: st.tuples(st.just(samples), st.integers(1, samples)))
SEEDS = st.integers(0, 2**32)


def _one_by_one(order, steps):
    return [order.steps(step, 1).indices[0].tolist() for step in steps]


@given(SIZES, SEEDS, st.integers(0, 5))
def test_each_epoch_is_a_permutation_in_full_batches_but_the_last(sizes, seed, epoch):
    samples, batch_size = sizes
    order = BatchOrder(samples, batch_size, seed)
    first = epoch * order.steps_per_epoch
    batches = _one_by_one(order, range(first, first + order.steps_per_epoch))
    assert sorted(row for batch in batches for row in batch) == list(range(samples))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert len(batches[-1]) == (samples % batch_size or batch_size)


@given(SIZES, SEEDS, st.data())
def test_any_valid_division_gives_the_same_sequence(sizes, seed, data):
    order = BatchOrder(*sizes, seed)
    total = 3 * order.steps_per_epoch
    step, seen = 0, []
    while step < total:
        count = data.draw(st.integers(1, order.run_length(step)))
        indices = order.steps(step, count).indices
        assert indices.dtype == np.int64
        assert len(indices) == count
        seen += indices.tolist()
        step += count
    assert seen == _one_by_one(order, range(total))


@given(SIZES, SEEDS, st.data())
def test_a_block_never_leaves_its_epoch_or_batch_size(sizes, seed, data):
    order = BatchOrder(*sizes, seed)
    start = data.draw(st.integers(0, 3 * order.steps_per_epoch))
    for count in (0, -1, order.run_length(start) + 1):
        with pytest.raises(ValueError, match="not in one epoch with one batch size"):
            order.steps(start, count)


def test_the_lengths_of_runs_at_the_end_of_an_epoch():
    uneven, even = BatchOrder(10, 4, 0), BatchOrder(8, 4, 0)
    assert [uneven.run_length(step) for step in range(6)] == [2, 1, 1, 2, 1, 1]
    assert [even.run_length(step) for step in range(4)] == [2, 1, 2, 1]
    assert (uneven.full_steps, uneven.steps_per_epoch) == (2, 3)
    assert (even.full_steps, even.steps_per_epoch) == (2, 2)


def test_epochs_and_seeds_have_different_orders():
    orders = [
        BatchOrder(50, 50, seed).steps(epoch, 1).indices.tobytes() for seed in range(5) for epoch in range(5)
    ]
    assert len(set(orders)) == 25


def test_the_order_is_pinned():
    # What committed references were made with.
    order = BatchOrder(10, 4, seed=3)
    assert order.steps(2, 1).indices.tolist() == [[8, 9]]
    assert order.steps(3, 2).indices.tolist() == [[2, 9, 5, 7], [4, 6, 3, 8]]


def test_epochs_of_fewer_samples_see_every_sample_once_before_any_again():
    order = BatchOrder(50, 8, seed=1, taken=20)
    assert (order.full_steps, order.steps_per_epoch, order.run_length(2)) == (2, 3, 1)
    epochs = [np.concatenate(_one_by_one(order, range(3 * e, 3 * e + 3))).tolist() for e in range(5)]
    whole = BatchOrder(50, 50, seed=1)
    passes = [whole.steps(number, 1).indices[0].tolist() for number in range(2)]
    assert list(itertools.chain(*epochs)) == list(itertools.chain(*passes))


@pytest.mark.parametrize(("inputs", "samples"), [((4,), 25), ((4,), 1)])
def test_a_batch_of_one_value_per_channel_is_refused(inputs, samples):
    task = normalised(inputs)
    with pytest.raises(UsageError, match="the last batch of an epoch has 1 sample, and batch_norm_1 needs"):
        BatchOrder.of_task(task, samples, 0)


@pytest.mark.parametrize(("inputs", "samples"), [((4,), 24), ((4,), 26), ((3, 4), 25)])
def test_two_values_per_channel_are_enough(inputs, samples):
    assert BatchOrder.of_task(normalised(inputs), samples, 0).samples == samples


def normalised(inputs):
    return small_task(inputs, Dense(3), BatchNorm(), Flatten(), Dense(10), batch_size=8)


ORDER = BatchOrder(samples=100_000, batch_size=10, seed=0)


@pytest.mark.parametrize(
    ("total_steps", "seconds"), [(10_000, 1.0), (1_000, 0.5), (100_000, 2.0), (10**6, 2.0)]
)
def test_a_block_takes_a_hundredth_of_the_training_within_limits(total_steps, seconds):
    steps = block_steps(ORDER, 100, step_seconds=0.01, total_steps=total_steps)
    assert steps * 0.01 == pytest.approx(seconds, rel=0.02)


def test_the_first_step_is_alone_and_a_probe_follows():
    assert block_steps(ORDER, 0, 0.0, 1000) == 1
    assert block_steps(ORDER, 1, 0.0, 1000) == 8


def test_a_block_ends_with_the_epoch():
    assert block_steps(ORDER, ORDER.steps_per_epoch - 3, 0.01, 10**6) == 3
