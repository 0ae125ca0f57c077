"""How long blocks are, how many a pair has, and when warm-up ends."""

import pytest

from harness.core.stats.settling import has_settled, is_hopeless
from harness.timing.engine.lengths import (
    Pace,
    block_steps,
    common_steps,
    shortest_block_seconds,
    turns_that_pay,
)

PACE = Pace(step_seconds=0.003, quickest_step_seconds=0.0025, call_seconds=0.0)


@pytest.mark.parametrize(
    ("modes", "wanted", "given"),
    [
        (["eager", "eager"], [15, 119], [119, 119]),  # equal code, and a trial that was disturbed
        (["eager", "compile"], [10, 11], [11, 11]),
        (["eager", "compile"], [10, 21], [10, 21]),
        (["eager", "compile", "eager"], [100, 3, 5], [100, 3, 100]),
    ],
)
def test_blocks_have_the_same_steps_where_backend_and_mode_are_the_same(modes, wanted, given):
    assert common_steps([("torch", mode) for mode in modes], wanted) == given


def test_configurations_of_one_program_on_the_cpu_have_short_blocks():
    """They pay the same for cold caches; others have blocks in which this hardly counts."""
    alike = shortest_block_seconds(["torch", "torch"], ["cpu", "cpu"])
    assert block_steps(PACE, alike) == 12
    for programs, devices in ((["torch", "jax"], ["cpu", "cpu"]), (["torch"] * 2, ["cuda:0 (H100)"] * 2)):
        assert block_steps(PACE, shortest_block_seconds(programs, devices)) == 44
    slow = PACE._replace(quickest_step_seconds=0.05)
    assert block_steps(slow, alike) == 1
    costly = PACE._replace(call_seconds=0.005)  # a call must be a hundredth of a block
    assert block_steps(costly, alike) == 200


@pytest.mark.parametrize(
    ("seconds", "turns"), [(0.06, 60), (0.09, 54), (0.25, 32), (0.5, 22), (1.0, 16), (9.0, 10)]
)
def test_a_pair_has_as_many_turns_as_pay(seconds, turns):
    assert turns_that_pay(seconds) == turns


def test_warm_up_ends_when_times_stop_falling():
    assert not has_settled([1.0] * 3)
    assert has_settled([1.0] * 4)
    assert not has_settled([3.0, 2.0, 1.5, 1.2, 1.1, 1.0])
    assert has_settled([3.0, 2.0, 1.5, 1.2, 1.1, 1.0, 1.0, 1.1, 1.0])
    assert has_settled([1.0, 1.0, 1.3, 1.3])  # a rise comes from the machine
    assert not has_settled([1.3, 1.2, 1.1, 1.4])  # one hiccup does not hide the fall
    assert not is_hopeless([1.0] * 23)
    assert is_hopeless([1.0] * 24)


def test_short_blocks_settle_over_as_long_a_time():
    """A window of two blocks of 0.03 s would end before caches and allocators are steady."""
    assert not has_settled([0.03] * 13)
    assert has_settled([0.03] * 14)
    assert not has_settled([0.04] * 9 + [0.03] * 4)
    assert not is_hopeless([0.03] * 80)
    assert is_hopeless([0.03] * 90)
