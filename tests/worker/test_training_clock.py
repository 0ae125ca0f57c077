"""The parent's clock against the worker's, in simulated time: only a worker that reports too little fails."""

from types import SimpleNamespace

import pytest

from harness.machine.main_threads import Waits
from harness.training.batches import BatchOrder
from harness.worker import protocol, training_clock
from harness.worker.errors import DishonestClock
from harness.worker.training_clock import TrainingClock


@pytest.fixture
def clock(monkeypatch):
    """A clock of a session whose calls take ``real`` seconds, plus those of ``others``, and report some.

    Others delay its messages by ``delay`` in addition, which is no longer than all its waits.
    """
    state = SimpleNamespace(now=0.0, real=0.1, reported=0.1, others=0.0, delay=0.0, waits=Waits(0.0, 0))

    def call(_request, _expected):
        state.now += state.real + state.others + state.delay
        return protocol.Trained(state.reported, [[1.0]])

    monkeypatch.setattr(
        training_clock, "time", SimpleNamespace(monotonic=lambda: state.now, thread_time=lambda: state.now)
    )
    hindrance = SimpleNamespace(seconds=lambda: state.others + state.delay)
    monkeypatch.setattr(training_clock, "Hindrance", lambda _pids: hindrance)
    threads = SimpleNamespace(since=lambda: state.waits)
    monkeypatch.setattr(training_clock, "MainThreads", lambda _pid: threads)
    session = SimpleNamespace(call=call, process=SimpleNamespace(pid=0))
    state.clock = TrainingClock(session, BatchOrder(80, 8, seed=0))
    return state


def train(clock, calls):
    for _ in range(calls):
        clock.clock.train(1)


def test_a_worker_that_reports_less_than_its_calls_take_is_refused_with_both_times(clock):
    clock.reported = 0.05
    with pytest.raises(DishonestClock, match=r"reported 0\.15 s for training that took 0\.3 s") as caught:
        train(clock, 3)
    assert (caught.value.test.outcome, caught.value.test.fault) == ("dishonest", "other clock")


def test_a_clock_that_stands_still_is_refused_at_once(clock):
    """No record could be read that has a block of no time."""
    clock.reported = 0.0
    with pytest.raises(DishonestClock, match=r"reported 0 s for training that took 0\.1 s"):
        train(clock, 1)


def test_a_clock_that_is_wrong_at_times_is_refused(clock):
    def mixed():
        for number in range(60):
            clock.reported = 0.05 if number % 3 == 0 else 0.1
            train(clock, 1)

    with pytest.raises(DishonestClock):
        mixed()


@pytest.mark.parametrize(("real", "reported"), [(0.1, 0.095), (0.03, 0.027), (2.0, 1.9)])
def test_a_small_share_that_is_always_missing_is_refused(clock, real, reported):
    clock.real, clock.reported = real, reported
    train(clock, 9)
    with pytest.raises(DishonestClock):
        train(clock, 1)


def test_a_small_share_that_is_missing_of_half_of_the_calls_accuses_nobody(clock):
    for number in range(100):
        clock.reported = 0.1 if number % 2 == 0 else 0.095
        train(clock, 1)


def test_a_clock_that_is_right_in_every_tenth_call_is_refused(clock):
    def mixed():
        for number in range(20):
            clock.reported = 0.1 if number % 10 == 0 else 0.095
            train(clock, 1)

    with pytest.raises(DishonestClock):
        mixed()


def test_a_tenth_that_is_missing_of_every_call_on_a_busy_machine_is_refused(clock):
    clock.real = clock.others = 0.25  # of all others take half, in 50 waits
    clock.delay, clock.reported, clock.waits = 0.002, 0.45, Waits(0.001, 49)
    with pytest.raises(DishonestClock):
        train(clock, 20)


@pytest.mark.parametrize("waits", [None, Waits(0.0, 0)], ids=["unknown", "in one wait"])
def test_equal_delays_of_every_call_accuse_nobody(clock, waits):
    clock.delay, clock.waits = 0.02, waits
    train(clock, 50)


@pytest.mark.parametrize(
    ("real", "reported", "others"),
    [(0.1, 0.099, 0.0), (0.004, 1e-6, 0.0), (0.1, 0.1, 0.4), (0.1, 0.1, 0.02)],
    ids=["messages", "calls shorter than a message", "a busy machine", "others at times"],
)
def test_overhead_and_other_programs_accuse_nobody(clock, real, reported, others):
    clock.real, clock.reported, clock.others = real, reported, others
    train(clock, 100)


@pytest.mark.parametrize(("reported", "others", "doubtful"), [(0.1, 0.002, False), (0.1, 0.1, True)])
def test_what_others_may_have_taken_is_neither_proof_nor_fault(clock, reported, others, doubtful):
    clock.reported, clock.others = reported, others
    train(clock, 30)
    assert clock.clock.is_doubtful is doubtful


def test_a_single_hiccup_accuses_nobody(clock):
    train(clock, 10)
    clock.real = 3.0
    train(clock, 1)
    clock.real = 0.1
    train(clock, 10)
