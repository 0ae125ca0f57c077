"""A duel raises for a dishonest clock and keeps the pace of every other."""

import pytest
from support.made_clock import Busy, HandsOff, Machine

from harness.duel.clock import prove_clock
from harness.worker.errors import DishonestClock


def test_the_pace_follows_from_the_test():
    proven = prove_clock(Machine(), 0.03)
    assert proven.test.outcome == "honest"
    assert proven.pace.quickest_step_seconds == pytest.approx(0.001)


def test_a_busy_machine_gives_a_pace_too():
    proven = prove_clock(Busy(), 0.03)
    assert proven.test.outcome == "not tested"
    assert proven.pace.quickest_step_seconds >= 0.001


@pytest.mark.parametrize(("shortest", "refused"), [(0.03, True), (0.11, False)])
def test_work_left_counts_as_a_share_of_the_shortest_block(shortest, refused):
    class LeavesALittle(Machine):
        def train(self, steps):
            super().train(steps)
            self.device_free_at = self.now + 0.003

    if refused:
        with pytest.raises(DishonestClock, match="after every block the device worked on"):
            prove_clock(LeavesALittle(), shortest)
    else:
        assert prove_clock(LeavesALittle(), shortest).test.outcome == "honest"


def test_unfinished_work_is_refused():
    with pytest.raises(DishonestClock, match=r"train\(\) or synchronize\(\) must return only when"):
        prove_clock(HandsOff(), 0.03)
