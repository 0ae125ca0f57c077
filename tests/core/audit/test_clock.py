"""Two sums over all calls decide about a clock, in simulated time; single calls and other programs do not."""

from types import SimpleNamespace

import pytest

from harness.core.audit import clock as module
from harness.core.audit.clock import TrainingClock
from harness.core.audit.findings import DishonestClock, Turns
from harness.core.audit.words import unconfirmed_clocks
from harness.core.machine.usage import Usage
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.errors import RequestFailed


@pytest.fixture
def machine(monkeypatch):
    """A worker of one CPU whose calls take ``real`` seconds and report some of them.

    ``cpu`` is its CPU time in a call, ``reading_cpu`` in readings; others use its CPU and delay messages, and
    ``neighbours`` another one. ``late`` is how long the reader waits for a CPU of its own.
    """
    state = SimpleNamespace(
        now=0.0,
        real=0.1,
        reported=0.1,
        cpu=0.1,
        others=0.0,
        neighbours=0.0,
        delay=0.0,
        late=0.0,
        reading_cpu=[0.001],
        asked=None,
    )
    state.fails = False

    def call(request, _expected):
        state.asked = request
        if state.fails and isinstance(request, protocol.Train):
            raise RequestFailed("out of memory", "")
        if isinstance(request, protocol.Train):
            state.now += state.real + state.delay + state.late
            return protocol.Trained(state.reported, [[1.0]] * request.steps)
        state.now += 0.0001 + state.late
        return protocol.StateSaved(complete=True) if isinstance(request, protocol.SaveState) else None

    class Meter:
        knows_others = True

        def __init__(self, *_):
            pass

        def begin(self):
            pass

        def end(self):
            if isinstance(state.asked, protocol.Train):
                anywhere = state.others + state.neighbours
                return Usage(state.cpu, state.others, anywhere, state.delay, state.late)
            reads = isinstance(state.asked, protocol.ReadWeights)
            own = state.reading_cpu.pop(0) if reads and state.reading_cpu else 0.0
            return Usage(own, 0.0, 0.0, 0.0, 0.0)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: state.now))
    monkeypatch.setattr(module, "UsageMeter", Meter)
    session = SimpleNamespace(call=call, process=SimpleNamespace(pid=0))
    state.clock = TrainingClock(session, [0])
    state.session = session
    state.gpu_clock = TrainingClock(session, [0], on_accelerator=True)
    return state


def train(machine, calls=30, clock=None, **changes):
    """Calls of a worker with these changes; what the clock made of them, or the error that it raised."""
    vars(machine).update(changes)
    clock = clock or machine.clock
    for _ in range(calls):
        clock.train(1)
    return clock


@pytest.mark.parametrize(
    ("changes", "outcome", "fault"),
    [
        ({}, "confirmed", None),
        ({"late": 0.05}, "confirmed", None),  # the reader's CPU is busy, those of the worker are not
        ({"delay": 0.03, "others": 0.03}, "not confirmed", "missing time"),  # others can have caused it
        (
            {"reported": 0.05, "cpu": 0.05, "others": 0.04},
            "not confirmed",
            "missing time",
        ),  # beside busy programs
        (
            {"real": 9e-4, "reported": 6e-4, "cpu": 6e-4},
            "not confirmed",
            "missing time",
        ),  # delivery of short calls
        ({"cpu": 0.14, "late": 0.05}, "not confirmed", "CPU time"),  # threads spin until the reply is read
    ],
    ids=["honest", "late reader", "delays", "missing beside others", "short calls", "spinning threads"],
)
def test_what_is_no_proof_accuses_nobody(machine, changes, outcome, fault):
    calls = 3000 if changes.get("real", 1.0) < 0.001 else 30
    found = train(machine, calls, **changes).judged()
    assert (found.outcome, found.fault, found.calls) == (outcome, fault, calls)
    assert found.delay_seconds == pytest.approx(calls * (changes.get("late", 0) + changes.get("delay", 0)))
    assert found.reported_seconds == pytest.approx(calls * changes.get("reported", 0.1))
    if not changes:
        assert found.missing_seconds == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reported": 0.001, "cpu": 0.001}, r"reported 0\.03 s for 30 calls that took 2\.99 s"),
        ({"reported": 0.05, "cpu": 0.05}, r"reported 1\.5 s for 30 calls that took 2\.99 s"),
        ({"reported": 0.089, "cpu": 0.089}, r"reported 2\.67 s for 30 calls that took 2\.99 s"),
        ({"delay": 0.03, "others": 0.001}, "reported 3 s"),  # longer than others used the CPUs
        ({"cpu": 0.12, "others": 1.0}, r"reported 3 s on 1 CPU and used 3\.6 s of CPU time"),
    ],
)
def test_time_that_is_missing_fails_with_both_sums(machine, changes, words):
    with pytest.raises(DishonestClock, match=words):
        train(machine, **changes).judged()


def test_empty_requests_that_waited_for_a_cpu_explain_nothing(machine):
    lateness = iter([0.05] * 8)
    ping = machine.session.call

    def call(request, expected):
        machine.late = next(lateness, 0.0)
        return ping(request, expected)

    clock = TrainingClock(SimpleNamespace(call=call, process=machine.session.process), [0])
    with pytest.raises(DishonestClock, match=r"reported 1\.5 s for 30 calls that took 2\.99 s"):
        train(machine, clock=clock, reported=0.05, cpu=0.05).judged()


def test_a_clock_that_stands_still_fails_at_once(machine):
    machine.reported = 0.0
    with pytest.raises(DishonestClock, match="reported 0 s for 1 calls"):
        train(machine, 1)


def test_where_the_kernel_counts_no_other_programs_nothing_is_proven(machine):
    machine.clock._meter.knows_others = False
    machine.reported = machine.cpu = 0.05
    train(machine, 30)
    assert machine.clock.judged().outcome == "not confirmed"


def test_a_clock_that_is_wrong_in_every_third_call_fails(machine):
    for number in range(60):
        machine.reported = machine.cpu = 0.05 if number % 3 == 0 else 0.1
        train(machine, 1)
    with pytest.raises(DishonestClock):
        machine.clock.judged()


@pytest.mark.parametrize(
    ("real", "reported", "calls"),
    [(0.1, 0.092, 50), (0.1, 0.05, 1), (0.0003, 0.0001, 1000)],
    ids=["less than a tenth", "less than 50 ms", "messages of short calls"],
)
def test_little_missing_time_accuses_nobody(machine, real, reported, calls):
    machine.real, machine.reported, machine.cpu = real, reported, reported
    train(machine, calls)
    assert machine.clock.judged().outcome == "confirmed"


def test_work_that_is_left_to_a_reading_counts(machine):
    train(machine, 30)
    machine.reading_cpu = [0.001, 0.001, 0.5, 0.001]
    for _ in range(4):
        machine.clock.settle()
    with pytest.raises(DishonestClock, match="part of its work was not timed"):
        machine.clock.judged()


def test_readings_that_others_can_have_made_longer_accuse_nobody(machine):
    train(machine, 30)
    machine.reading_cpu = [0.4, 0.4, *[0.9] * 10]
    for _ in range(12):
        machine.clock.settle()
    found = machine.clock.judged()
    assert (found.outcome, found.fault) == ("not confirmed", "CPU time")


def test_the_price_of_reading_and_a_first_compilation_do_not_count(machine):
    train(machine, 30)
    machine.reading_cpu = [2.0, *[0.2] * 10]
    for _ in range(11):
        machine.clock.settle()
    assert machine.clock.judged().outcome == "confirmed"


def test_on_an_accelerator_cpu_time_says_nothing(machine):
    machine.cpu = 1.0
    train(machine, 30, machine.gpu_clock)
    found = machine.gpu_clock.judged()
    assert (found.outcome, found.cpu_seconds) == ("confirmed", None)


ORDER = BatchOrder(800, 8, seed=0)


def judged_in_new_order(machine, order=ORDER, **changes):
    """The judgement of 30 calls, and of steps in a new order that the machine makes with these changes."""
    train(machine)
    vars(machine).update(changes)
    machine.clock.compare_new_order(order, 30, 0.1)
    return machine.clock.judged()


@pytest.mark.parametrize("seconds", [0.1, 0.2])
def test_steps_in_a_new_order_may_take_twice_as_long(machine, seconds):
    found = judged_in_new_order(machine, real=seconds, reported=seconds, cpu=seconds)
    assert found.known_share == pytest.approx(0.1 / seconds)


def test_results_that_were_known_before_fail_on_a_machine_without_others(machine):
    words = "a step took 33% of the time and 33% of the CPU time of one whose samples were drawn after"
    with pytest.raises(DishonestClock, match=words):
        judged_in_new_order(machine, real=0.3, reported=0.3, cpu=0.3)
    assert machine.asked == protocol.Shuffle(0)


BUSY = {"real": 3.0, "reported": 3.0, "cpu": 0.5, "others": 2.0}


@pytest.mark.parametrize(
    ("changes", "outcome", "fault"),
    [
        (BUSY | {"cpu": 0.2}, "confirmed", None),  # the steps had to wait for the CPU
        (BUSY, "not confirmed", "known order"),  # threads that wait for each other use CPU time, too
        ({"real": 0.3, "reported": 0.3, "cpu": 0.1}, "not confirmed", "known order"),  # it waited for a disk
        ({"real": 0.3, "reported": 0.3, "cpu": 0.3, "neighbours": 0.2}, "not confirmed", "known order"),
    ],
    ids=["waits", "spins", "stands still", "beside neighbours"],
)
def test_a_machine_that_has_become_busy_accuses_nobody(machine, changes, outcome, fault):
    found = judged_in_new_order(machine, **changes)
    assert (found.outcome, found.fault) == (outcome, fault)
    assert machine.clock.suspects_known_order == (fault is not None)
    if fault is not None:
        assert unconfirmed_clocks([found]).endswith("may explain steps that took longer in a new order")


@pytest.mark.parametrize(
    ("turns", "outcome"),
    [
        ((20, 20), "dishonest"),
        ((20, 19), "dishonest"),
        ((20, 18), "not confirmed"),
        ((7, 7), "not confirmed"),
    ],
)
def test_calls_in_turn_decide_on_a_busy_machine(machine, turns, outcome):
    made, cheaper = turns
    machine.clock.add_turns(Turns(made=made, cheaper=cheaper))
    if outcome == "dishonest":
        with pytest.raises(DishonestClock, match=f"far cheaper than a new one in {cheaper} of {made} calls"):
            judged_in_new_order(machine, **BUSY)
    else:
        assert judged_in_new_order(machine, **BUSY).outcome == outcome


def test_what_is_proven_counts_more_than_what_others_can_have_caused(machine):
    machine.clock.add_turns(Turns(made=20, cheaper=20))
    with pytest.raises(DishonestClock, match="results were known before"):
        judged_in_new_order(machine, **BUSY, delay=1.0)


def test_an_epoch_that_is_smaller_than_a_batch_has_full_steps_too(machine):
    assert judged_in_new_order(machine, BatchOrder(20, 50, seed=0)).known_share == pytest.approx(1.0)


def test_a_program_that_fails_in_the_test_gets_its_order_back(machine):
    found = judged_in_new_order(machine, BatchOrder(800, 8, seed=3), fails=True)
    assert (machine.asked, found.known_share) == (protocol.Shuffle(3), None)


def test_long_steps_are_not_made_for_the_test(machine):
    train(machine, 3, real=5.0, reported=5.0, cpu=5.0)
    machine.clock.compare_new_order(ORDER, 3, 5.0)
    assert machine.clock.judged().known_share is None
