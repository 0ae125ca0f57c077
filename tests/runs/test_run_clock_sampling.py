"""What a run learns about its clock while it trains and afterwards, in simulated time."""

from types import SimpleNamespace

import pytest
from support.made_clock import STEP, Busy, HandsOff, Machine

from harness.runs import clock
from harness.runs.clock import RunClock
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.errors import DishonestClock


class StallsAtTimes(HandsOff):
    calls = 0

    def train(self, steps):
        self.calls += 1
        (HandsOff if self.calls % 3 == 0 else Machine).train(self, steps)


@pytest.fixture
def trained(monkeypatch):
    """The clock of a run that has made a first step, a probe and so many blocks of 100 steps."""

    def train(machine, blocks):
        worker = SimpleNamespace(
            train=lambda steps: protocol.Trained(machine.block(steps), [[1.0]] * steps), is_doubtful=False
        )
        monkeypatch.setattr(clock, "TrainingClock", lambda *_: worker)
        monkeypatch.setattr(clock, "TimedReadings", lambda *_: machine)
        monkeypatch.setattr(clock, "TimedSession", lambda *_: machine)
        session = SimpleNamespace(call=machine.asked)
        run = RunClock(session, BatchOrder(8000, 8, seed=0), threads=1)
        lengths = [1, 8, *[100] * blocks]
        for number, steps in enumerate(lengths, 1):
            run.train(steps, last=number == len(lengths))
        return run

    return train


@pytest.mark.parametrize("blocks", [1, 10, 100])
def test_an_honest_clock_passes_in_short_and_long_runs(trained, blocks):
    test = trained(Machine(), blocks).test()
    assert (test.outcome, test.ratio) == ("honest", pytest.approx(2.0))


class KnowsTheBatches(Machine):
    """Has made the steps of the training before they are asked for, and only those."""

    shuffled = False

    def asked(self, request, _reply):
        self.shuffled = request.seed != 0

    def train(self, steps):
        self.work(STEP * steps * (1 if self.shuffled else 0.1))


def test_a_training_of_steps_made_before_is_refused(trained):
    with pytest.raises(DishonestClock, match="a step took 10% of the time of one"):
        trained(KnowsTheBatches(), 20).test()


class WorksInPauses(Machine):
    """A thread works while nothing is asked of it, once training has begun to take long."""

    def rest(self, seconds):
        super().rest(seconds)
        return 0.4 if self.made > 300 else 0.0


@pytest.mark.parametrize("blocks", [6, 100])
def test_work_in_pauses_is_refused(trained, blocks):
    with pytest.raises(DishonestClock, match="uses 40% of a CPU while nothing is asked of it"):
        trained(WorksInPauses(), blocks).test()


def test_rests_take_a_bounded_time(trained):
    machine = Machine()
    machine.rested = []
    machine.rest = lambda seconds: machine.rested.append(seconds) or 0.0
    trained(machine, 300)  # 30 s
    assert 0.25 <= sum(machine.rested) <= 0.25 + 0.01 * 30 + 0.05


@pytest.mark.parametrize(("program", "blocks"), [(HandsOff, 1), (HandsOff, 20), (StallsAtTimes, 60)])
def test_a_dishonest_clock_is_refused(trained, program, blocks):
    with pytest.raises(DishonestClock, match="must return only when the device is done"):
        trained(program(), blocks).test()


def test_a_busy_machine_accuses_nobody(trained):
    outcomes = {trained(Busy(seed), 5).test().outcome for seed in range(50)}
    assert outcomes <= {"honest", "not tested"}


def test_a_run_of_long_steps_makes_no_more_of_them(trained):
    machine = Machine()
    machine.pace = 1000.0
    run = trained(machine, 3)
    made = machine.made
    assert run.test().outcome == "honest"
    assert machine.made == made
