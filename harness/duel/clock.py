"""The clock of a duel's worker, tested before its time counts; see :mod:`harness.testing.clock`."""

from typing import NamedTuple

from harness.duel.timed_worker import TimedWorker
from harness.testing.clock import ClockTest, ClockTrial, Pace
from harness.worker.errors import DishonestClock


class Clock(NamedTuple):
    """The test of a clock, and the pace that it found."""

    test: ClockTest
    pace: Pace


def prove_clock(worker: TimedWorker, shortest_block_seconds: float) -> Clock:
    """Test a clock with blocks of at least 0.11 s.

    The duel's own blocks may be as short as ``shortest_block_seconds``, or as one step if that is longer. A
    clock that a busy machine leaves untested passes, and the test says so.

    Raises:
        DishonestClock: the program's clock stops before the work is done, or does not follow the steps.
    """
    trial = ClockTrial(worker, shortest_block_seconds)
    test = trial.carry_out()
    if test.outcome == "dishonest":
        raise DishonestClock(test)
    return Clock(test, trial.pace)
