"""The lengths of the blocks of a training."""

import pytest

from harness.training.batches import BatchOrder, block_steps

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
