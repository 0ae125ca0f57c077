"""Whatever a process of a duel is asked for when it falls, the side is named, with the last that it said."""

import contextlib
import os
import signal

import msgspec
import pytest

from harness.duel.pairs import Alternation
from harness.duel.preparation import prepare
from harness.duel.timed_worker import ConfigurationFailed, TimedWorker, blaming
from harness.duel.workloads import Workload
from harness.machine.cpus import allowed_cpus, cpus_of
from harness.plugins import registry
from harness.spec.backend import Plan
from harness.worker.errors import NoWorkersHere


@pytest.fixture
def side(tmp_path, harness):
    """A side of one thread that dies in its next training once ``die`` is there."""
    definition = registry.task("mlp")
    options = definition.options()
    plan = Plan(task=definition.define(options), mode="dies", device="cpu", threads=1, seed=0)
    names = ("PYTHONPATH", "HARNESS_DATA_DIR")
    variables = {name: harness.environment[name] for name in names} | {
        "PACED_FAILS_WHEN": str(tmp_path / "die")
    }
    return Workload(label="head", backend="paced", plan=plan, options={}, environment=variables)


@pytest.fixture
def contender(side):
    """A running process of it."""
    running = TimedWorker(side, side.settings(quiet=True), deadline_seconds=60)
    try:
        running.start("mnist1d")
        yield running
    finally:
        running.session.kill_and_close()


@pytest.mark.parametrize("what", [lambda one: one.warm_up(2), lambda one: one.block(2)])
def test_at_work(contender, tmp_path, what):
    (tmp_path / "die").touch()
    with pytest.raises(ConfigurationFailed, match=r"side head: .* exited with code 9 \[the last words\]"):
        what(contender)


def test_when_it_is_asked_for_its_memory(contender):
    os.kill(contender.session.process.pid, signal.SIGKILL)  # as the system does when memory runs out
    with pytest.raises(ConfigurationFailed, match="side head: the worker process was killed by SIGKILL"):
        contender.finish()


def test_blocks_leave_no_step_of_an_epoch_uncounted(contender):
    """What always falls on the same step of an epoch would otherwise never be seen."""
    part = contender.order.even_steps(4)
    contender.block(part)
    while contender.steps % contender.order.steps_per_epoch:
        contender.block(part)
    before = contender.training_seconds
    counted = sum(contender.block(part) for _ in range(contender.order.full_steps // part))
    assert contender.steps % contender.order.steps_per_epoch == 0
    assert counted == pytest.approx(contender.training_seconds - before)


def test_blocks_of_sides_of_one_program_are_short_and_as_many_as_pay(side):
    """Steps of 10 ms: three of them a block, and turns of 0.06 s or a little more."""
    sides = [side, msgspec.structs.replace(side, label="other")]
    settings = [one.settings(quiet=True) for one in sides]
    ring = Alternation(sides, settings, "mnist1d", deadline_seconds=lambda: 120.0)
    prepared = prepare(ring, None)
    assert prepared.steps[0] == prepared.steps[1]
    assert 2 <= prepared.steps[0] <= 6
    assert 40 <= prepared.turns <= 60


def test_a_machine_that_cannot_guard_workers_is_no_sides_fault(contender):
    with pytest.raises(NoWorkersHere), blaming("base", contender.session):
        raise NoWorkersHere("the other side's guard cannot be started")


@pytest.mark.all_cpus
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(allowed_cpus()) == 1, reason="needs two CPUs, and Linux"
)
def test_sides_of_one_thread_start_apart_and_meet_on_their_cpu(side, monkeypatch):
    settings = [side.settings(quiet=True)] * 2
    ring = Alternation([side, side], settings, "mnist1d", deadline_seconds=lambda: 60.0)
    started, contender = [], ring.contender

    def seen(number, cpus):
        started.append(cpus)
        return contender(number, cpus)

    monkeypatch.setattr(ring, "contender", seen)
    with contextlib.ExitStack() as stack:
        running = ring.built([1, 0], stack)
        now = [os.sched_getaffinity(one.session.process.pid) for one in running.values()]
    home = cpus_of(settings[0])
    assert started[0] == home != started[1]
    assert now == [set(home)] * 2
