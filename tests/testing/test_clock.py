"""The test of a clock in virtual time: planted faults are found, a busy machine accuses nobody."""

import pytest
from support.made_clock import STEP, Busy, HandsOff, Machine, Unmeasured

from harness.testing.clock import ClockTrial, Effort
from harness.testing.clock_words import reason
from harness.testing.readings import Reading


class StallsAtTimes(HandsOff):
    calls = 0

    def train(self, steps):
        self.calls += 1
        (HandsOff if self.calls % 3 == 0 else Machine).train(self, steps)


class NeverWaits(HandsOff):
    """weights() does not wait either: it returns what is there."""

    def reading(self):
        self.work(0.0005)
        return Reading(0.0005, max(0, int((self.device_free_at - self.now) / STEP)))


class WorksAhead(Machine):
    """Every second call does the work of the next one as well."""

    calls = 0

    def train(self, steps):
        self.calls += 1
        super().train(2 * steps if self.calls % 2 else 0.001 * steps)


class WorksWhileIdle(Machine):
    """A thread trains on after each call; the next one waits for what is still missing."""

    ended = -1e9

    def train(self, steps):
        done = min(self.now - self.ended, STEP * steps)
        self.work(STEP * steps - done)
        self.ended = self.now


class WorksUnseen(Machine):
    """A thread works in rests, on what later blocks do not show."""

    def rest(self, seconds):
        super().rest(seconds)
        return 0.4


class IgnoresTheSteps(Machine):
    def train(self, steps):
        self.work(0.2)


class FixedCostOfCalls(Machine):
    """Honest: a call costs as much as a hundred steps."""

    def train(self, steps):
        self.work(0.1)
        super().train(steps)


class PausesAtTimes(Machine):
    """Honest: every hundredth step saves something."""

    def train(self, steps):
        saved = (self.made + steps) // 300 - self.made // 300
        super().train(steps + 200 * saved)


def tried(timed):
    return ClockTrial(timed, 0.03).carry_out()


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (HandsOff, "work left"),
        (StallsAtTimes, "work left at times"),
        (NeverWaits, "weights change"),
        (WorksAhead, "works ahead"),
        (WorksWhileIdle, "works while idle"),
        (WorksUnseen, "works while idle"),
        (IgnoresTheSteps, "time ignores the steps"),
    ],
)
def test_a_planted_clock_is_found(program, fault):
    test = tried(program())
    assert (test.outcome, test.fault) == ("dishonest", fault)
    assert reason(test).startswith("its clock cannot be trusted: ")


@pytest.mark.parametrize("program", [Machine, PausesAtTimes, FixedCostOfCalls])
@pytest.mark.parametrize("effort", [Effort(), Effort(0.05, repetitions=1, single_steps=0)])
def test_an_honest_clock_passes(program, effort):
    test = ClockTrial(program(), 0.03, effort).carry_out()
    assert (test.outcome, test.fault, reason(test)) == ("honest", None, "")
    assert 1.5 <= test.ratio <= 2.1


@pytest.mark.parametrize("program", [Busy, Unmeasured])
def test_nobody_is_accused_on_a_busy_machine(program):
    tests = [tried(program(seed)) for seed in range(200)]
    assert {test.outcome for test in tests} <= {"honest", "not tested"}, [
        test for test in tests if test.outcome == "dishonest"
    ]
    untested = next(test for test in tests if test.outcome == "not tested")
    assert "could not be tested" in reason(untested)


@pytest.mark.parametrize("fault", [HandsOff, IgnoresTheSteps])
def test_a_busy_machine_is_no_excuse(fault):
    class Both(fault):
        disturb = Busy.disturb

    outcomes = [tried(Both(seed)).outcome for seed in range(50)]
    assert "honest" not in outcomes
