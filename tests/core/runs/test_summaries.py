"""Summaries of a run's raw samples."""

import pytest
from support.records import make_record, make_unfinished_record

from harness.core.runs.record import (
    Block,
    generalization_gap,
    steady_steps,
    step_time,
)


def _blocks(*step_seconds):
    """A first step, then blocks of four steps, each step taking these seconds."""
    return [Block(1, 1, 64, 9.0), *(Block(1, 4, 64, 4 * seconds) for seconds in step_seconds)]


def test_the_steady_step_leaves_out_the_first_step_and_short_batches():
    # 0.02, 0.03 and 0.1 s per step: the first step and the batch of 13 do not count, nor does the first of
    # three blocks, which are too few to show that the warm-up has ended.
    steady = steady_steps(make_record())
    assert steady.seconds == pytest.approx([0.03, 0.1])
    assert not steady.settled
    assert step_time(make_record()) == pytest.approx(0.065)


@pytest.mark.parametrize(
    ("step_seconds", "steady", "settled"),
    [
        ([0.9, 0.5, 0.2, 0.1, 0.1, 0.1, 0.12], [0.1, 0.1, 0.12], True),
        ([0.1] * 4, [0.1] * 2, True),
        ([0.1] * 3, [0.1] * 2, False),
        ([0.8, 0.7, 0.6, 0.5, 0.4, 0.3], [0.5, 0.4, 0.3], False),  # still falling when the run ends
        ([0.95**place for place in range(30)], [0.95**place for place in range(24, 30)], False),
    ],
)
def test_the_warm_up_is_left_out_by_the_rule_of_duels(step_seconds, steady, settled):
    assert steady_steps(make_record(blocks=_blocks(*step_seconds))) == (pytest.approx(steady), settled)


@pytest.mark.parametrize("blocks", [[], _blocks(), [*_blocks(), Block(1, 1, 13, 0.1)]])
def test_without_a_steady_block_there_is_no_step_time(blocks):
    record = make_record(blocks=blocks)
    assert step_time(record) is None


def test_the_gap_is_training_less_validation_accuracy_after_the_last_epoch():
    assert generalization_gap(make_record()) == 0.25
    assert generalization_gap(make_unfinished_record()) is None
