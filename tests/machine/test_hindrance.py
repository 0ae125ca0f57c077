"""Only waiting that others caused is hindrance: the kernel's counters are injected."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.machine import hindrance
from harness.machine.disturbance import Disturbance
from harness.machine.hindrance import Hindrance

WORKER = 7


def _between(before, now):
    stolen, others = (later - earlier for earlier, later in zip(before, now, strict=True))
    return Disturbance(stolen, others, 0.0, 0)


@pytest.fixture
def machine(monkeypatch):
    """Two CPUs; ``pass_time`` adds seconds to the counters of the worker's threads, of CPUs and of steal."""
    state = SimpleNamespace(
        ran={}, waited={}, own_waited=0.0, busy={0: 5.0, 1: 5.0, 2: 5.0}, ours=3.0, stolen=0.0
    )

    def read_threads(pids):
        if WORKER in pids:
            return dict(state.ran), dict(state.waited)
        # Another thread of this process is busy elsewhere, and waits for what takes no time here.
        return (
            ({"1": 0.0, "2": 0.0}, {"1": state.own_waited, "2": 10 * sum(state.waited.values())})
            if state.waited
            else ({}, {})
        )

    def pass_time(threads, others=0.0, stolen=0.0, apart=0.0, tick=0.0):
        """``threads``: seconds that each ran and waited; ``others`` on their CPUs, ``apart`` on another.

        ``tick`` is by how much the counter of a CPU is wrong from now on.
        """
        for name, (ran, waited) in threads.items():
            state.ran[name] = state.ran.get(name, 0.0) + ran
            state.waited[name] = state.waited.get(name, 0.0) + waited
            state.busy[0] += ran
            state.ours += ran
        state.busy[1] += others + tick
        state.busy[2] += apart
        state.stolen += stolen

    monkeypatch.setattr(hindrance, "_read_threads", read_threads)
    monkeypatch.setattr(hindrance.threading, "get_native_id", lambda: 1)
    monkeypatch.setattr(hindrance, "_cpus_of", lambda _thread: {0, 1})
    monkeypatch.setattr(hindrance, "busy_seconds", lambda: dict(state.busy))
    monkeypatch.setattr(hindrance, "cpu_seconds", lambda pid: state.ours if pid == WORKER else 0.0)
    monkeypatch.setattr(hindrance, "with_descendants", set)
    monkeypatch.setattr(hindrance, "read_counters", lambda _pids: (state.stolen, sum(state.busy.values())))
    monkeypatch.setattr(hindrance, "between", _between)
    state.pass_time = pass_time
    pass_time({"a": (1.0, 0.0), "b": (1.0, 0.0)})
    return state


def after(machine, *threads, **taken):
    """The hindrance of each of these intervals."""
    watch, seconds = Hindrance([WORKER]), []
    for each in threads:
        machine.pass_time(each, **taken)
        seconds.append(watch.seconds())
    return seconds


#: TensorFlow's threads on one CPU: each waits while the other runs.
ALTERNATING = {"a": (0.02, 0.065), "b": (0.065, 0.02)}


def test_threads_of_one_program_that_wait_for_each_other_are_not_hindered_by_others(machine):
    """At most the error of the counters, once, however long that goes on."""
    seconds = after(machine, *[ALTERNATING] * 50)
    assert sum(seconds) <= 4 * 0.02
    assert sum(seconds[5:]) == pytest.approx(0.0)


def test_what_others_take_from_several_threads_counts(machine):
    seconds = after(machine, *[{"a": (0.02, 0.165), "b": (0.065, 0.12)}] * 50, others=0.1)
    assert sum(seconds) == pytest.approx(50 * 0.1, abs=0.08)
    assert min(seconds) >= 0.1 - 1e-9


@pytest.mark.parametrize("others", [0.0, 0.5], ids=["in no counter", "longer than the wait"])
def test_the_wait_of_a_single_thread_is_exact(machine, others):
    """Such as under a quota that no counter shows, or where /proc/stat is that of a container."""
    seconds = after(machine, *[{"a": (0.05, 0.003)}] * 50, others=others)
    assert seconds == pytest.approx([0.003] * 50)


def test_others_that_kept_nobody_waiting_explain_no_later_wait(machine):
    watch = Hindrance([WORKER])
    machine.pass_time({"a": (1.0, 0.0)}, others=5.0)
    assert watch.seconds() == 0.0
    machine.pass_time({"a": (1.0, 1.0), "b": (1.0, 1.0)})
    assert watch.seconds() <= 0.04 + 1e-9


def test_others_on_cpus_that_the_program_may_not_use_are_no_hindrance(machine):
    assert sum(after(machine, *[ALTERNATING] * 50, apart=0.1)) <= 4 * 0.02


def test_ticks_that_come_late_hide_no_hindrance_in_short_blocks(machine):
    """Others take 5 ms of each block; the counter shows them every second block."""
    watch, seconds = Hindrance([WORKER]), []
    for block in range(40):
        machine.pass_time({"a": (0.02, 0.025), "b": (0.02, 0.025)}, tick=0.01 * (block % 2))
        seconds.append(watch.seconds())
    assert sum(seconds) == pytest.approx(40 * 0.005, abs=0.05)
    assert all(sum(pair) >= 0.01 - 1e-9 for pair in zip(seconds[::2], seconds[1::2], strict=True))


def test_waits_of_this_process_and_stolen_time_are_added(machine):
    watch = Hindrance([WORKER])
    machine.own_waited += 0.004
    machine.pass_time({"a": (0.0, 0.002)}, stolen=0.01)
    assert watch.seconds() == pytest.approx(0.016)


def test_without_the_scheduler_s_report_the_work_of_others_counts(machine, monkeypatch):
    monkeypatch.setattr(hindrance, "_read_threads", lambda _pids: ({}, {}))
    assert after(machine, {}, others=0.3) == pytest.approx([0.3])


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="not reported by this system")
def test_the_counters_of_this_process_can_be_read():
    watch = Hindrance([os.getpid()])
    assert 0.0 <= watch.seconds() < 60.0
