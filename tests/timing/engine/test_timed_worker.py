"""Errors of a duel's process name its workload and quote the last lines of its output."""

import contextlib
import os
import random
import signal
from types import SimpleNamespace

import msgspec
import pytest
from support.workloads import workload as paced

from harness.core.machine.cpus import allowed_cpus, cpus_of
from harness.errors import NoWorkersHere
from harness.timing.engine.pairs import Alternation
from harness.timing.engine.preparation import prepare
from harness.timing.engine.sessions import ConfigurationFailed, blaming
from harness.timing.engine.timed_worker import TimedWorker


@pytest.fixture
def workload(tmp_path, harness):
    """A workload of one thread that dies in its next training once the file ``die`` exists."""
    variables = [(name, harness.environment[name]) for name in ("PYTHONPATH", "HARNESS_DATA_DIR")]
    variables.append(("PACED_FAILS_WHEN", str(tmp_path / "die")))
    return paced("head", backend="paced", mode="dies", variables=tuple(variables))


@pytest.fixture
def worker(workload):
    """A running process of it."""
    running = TimedWorker(workload, workload.worker_variables(quiet=True), deadline_seconds=60)
    try:
        running.begin("mnist1d")
        running.await_build()
        running.make_first_step()
        yield running
    finally:
        running.end()


@pytest.mark.parametrize("request_of", [lambda worker: worker.warm_up(2), lambda worker: worker.block(2)])
def test_a_process_that_dies_at_work_is_reported_with_its_last_lines(worker, tmp_path, request_of):
    (tmp_path / "die").touch()
    with pytest.raises(ConfigurationFailed, match=r"head: .* exited with code 9 \[the last words\]"):
        request_of(worker)


def test_a_process_that_is_killed_when_it_is_asked_for_its_memory_is_reported(worker):
    os.kill(worker.session.process.pid, signal.SIGKILL)  # as the system does when memory runs out
    with pytest.raises(ConfigurationFailed, match="head: the worker process was killed by SIGKILL"):
        worker.finish(verify=False)


def test_blocks_leave_no_step_of_an_epoch_uncounted(worker):
    """What always falls on the same step of an epoch would otherwise never be seen."""
    part = worker.order.even_steps(4)
    worker.block(part)
    while worker.steps % worker.order.steps_per_epoch:
        worker.block(part)
    trained, train = [], worker._train
    worker._train = lambda steps: trained.append(train(steps)) or trained[-1]
    counted = sum(worker.block(part) for _ in range(worker.order.full_steps // part))
    assert worker.steps % worker.order.steps_per_epoch == 0
    assert counted == pytest.approx(sum(trained))


@pytest.mark.slow
def test_blocks_of_configurations_of_one_program_are_short_and_as_many_as_pay(workload):
    """Steps of 10 ms: three of them per block, and turns of 0.06 s or a little more."""
    workloads = [workload, msgspec.structs.replace(workload, label="other")]
    alternation = Alternation(workloads, "mnist1d")
    prepared = prepare(alternation, None)
    assert prepared.steps[0] == prepared.steps[1]
    assert 2 <= prepared.steps[0] <= 6
    assert 40 <= prepared.turns <= 60


@pytest.mark.parametrize(
    ("shuffle", "order"), [(lambda _order: None, [0, 1, 1, 0]), (list.reverse, [1, 0, 0, 1])]
)
def test_chance_decides_who_goes_first(workload, shuffle, order):
    workloads = [workload, msgspec.structs.replace(workload, label="other")]
    alternation = Alternation(workloads, "mnist1d")
    alternation.chance = SimpleNamespace(shuffle=shuffle, getrandbits=random.getrandbits)
    pair = alternation.pair([2, 2], 2)
    assert [block.configuration for block in pair.blocks] == order


def test_no_configuration_is_blamed_for_a_machine_that_cannot_guard_workers(worker):
    with pytest.raises(NoWorkersHere), blaming("base", worker.session):
        raise NoWorkersHere("the other worker's guard cannot be started")


@pytest.mark.all_cpus
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(allowed_cpus()) == 1, reason="needs two CPUs, and Linux"
)
def test_workers_of_one_thread_start_apart_and_meet_on_their_cpu(workload, monkeypatch):
    alternation = Alternation([workload, workload], "mnist1d")
    started, worker = [], alternation.worker

    def recorded(index, cpus):
        started.append(cpus)
        return worker(index, cpus)

    monkeypatch.setattr(alternation, "worker", recorded)
    with contextlib.ExitStack() as stack:
        running = alternation.built([1, 0], stack)
        now = [os.sched_getaffinity(own.session.process.pid) for own in running.values()]
    home = cpus_of(alternation.variables[0])
    assert started[0] == home != started[1]
    assert now == [set(home)] * 2
