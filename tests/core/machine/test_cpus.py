"""Which CPUs a worker is bound to, and how many of them a container's quota grants."""

import os

import psutil
import pytest

from harness.core.machine import cpus as cpus_module
from harness.core.machine import worker_variables as worker_variables_module
from harness.core.machine.cpus import WORKER_CPUS, allowed_cpus, cpu_count
from harness.core.machine.description import default_threads
from harness.core.machine.worker_variables import worker_variables


def test_allowed_cpus_are_those_of_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(cpus_module.os, "sched_getaffinity", lambda _pid: {5, 2}, raising=False)
    assert allowed_cpus() == [2, 5]


def test_allowed_cpus_without_affinity_are_all(monkeypatch):
    monkeypatch.delattr(cpus_module.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cpus_module.os, "cpu_count", lambda: 3)
    assert allowed_cpus() == [0, 1, 2]


@pytest.mark.parametrize(
    ("granted", "usable"),
    [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("800000 100000", 4), (None, 4)],
)
def test_a_containers_quota_bounds_what_a_worker_can_use(monkeypatch, tmp_path, granted, usable):
    if granted:
        (tmp_path / "cpu.max").write_text(granted + "\n")
    monkeypatch.setattr(cpus_module, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(cpus_module, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4)  # noqa: ARG005  psutil's own
    assert cpu_count({}) == cpu_count({WORKER_CPUS: "0,1,2,3"}) == default_threads() == usable


def test_the_quota_of_a_group_within_a_group_counts_too(monkeypatch, tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "own").write_text("1:name=systemd:/elsewhere\n0::/outer/inner\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    monkeypatch.setattr(cpus_module, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(cpus_module, "_OWN_GROUP", tmp_path / "own")
    assert cpus_module.cpu_quota() == 1.5
    (inner / "cpu.max").write_text("50000 100000\n")
    assert cpus_module.cpu_quota() == 0.5


@pytest.fixture
def four_threads_on_two_cores(monkeypatch):
    """CPUs 0 and 1 share a core, 2 and 3 another one; ``busy`` may be filled by the test."""
    busy: set[int] = set()
    monkeypatch.setattr(cpus_module, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(worker_variables_module, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(cpus_module, "_core_of", lambda cpu: f"core {cpu // 2}")
    monkeypatch.setattr(cpus_module, "_busy_cpus", lambda: busy)
    monkeypatch.setattr(cpus_module, "cpu_quota", lambda: None)
    cpus_module._best_first.cache_clear()
    yield busy
    cpus_module._best_first.cache_clear()


@pytest.mark.parametrize(("threads", "cpus"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_a_worker_gets_separate_cores_first(four_threads_on_two_cores, threads, cpus):
    assert cpus_module.cpus_for(threads) == cpus


def test_a_busy_cpu_is_left_to_others(four_threads_on_two_cores):
    four_threads_on_two_cores.add(0)
    assert cpus_module.cpus_for(1) == [2]


@pytest.mark.parametrize(
    ("own", "places"),
    [
        (["0", "0"], [[0], [2]]),
        (["0", "0", "0"], [[0], [2], [1]]),
        (["1", "0"], [[1], [0]]),
        (["0,2", "0,2"], [[0, 2], [0, 2]]),  # start-up is work of one thread
        (["0", "0,2"], None),
        (["0"] * 5, None),
        (["0,2"] * 3, None),
    ],
)
def test_workers_that_share_a_cpu_start_on_others(four_threads_on_two_cores, own, places):
    variables = [{WORKER_CPUS: cpus} for cpus in own]
    assert cpus_module.places_to_start(variables) == places


def test_no_worker_starts_beyond_a_quota(four_threads_on_two_cores, monkeypatch):
    monkeypatch.setattr(cpus_module, "cpu_quota", lambda: 1.5)
    assert cpus_module.places_to_start([{WORKER_CPUS: "0"}] * 2) is None


def test_the_cpus_of_a_worker_are_among_its_variables_where_it_may_not_use_all(four_threads_on_two_cores):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system binds no process")
    assert worker_variables(2, "cpu", {})[WORKER_CPUS] == "0,2"
    assert WORKER_CPUS not in worker_variables(4, "cpu", {})


def test_the_hardware_threads_of_the_same_cores_are_included(monkeypatch):
    siblings = {0: "0,4", 1: "1,5", 2: "2-3", 3: "2-3", 7: "7"}
    monkeypatch.setattr(cpus_module, "_core_of", siblings.get)
    assert cpus_module.on_their_cores([0, 2, 7]) == {0, 4, 2, 3, 7}


@pytest.mark.parametrize(
    ("threads", "cpus", "groups"),
    [(1, 2, [[0], [2]]), (2, 4, [[0, 2], [1, 3]]), (2, 3, [[0, 2]]), (4, 2, [[0, 1, 2, 3]])],
)
def test_workers_at_the_same_time_get_groups_of_cpus_of_their_own(
    four_threads_on_two_cores, threads, cpus, groups
):
    assert cpus_module.cpu_groups(threads, cpus) == groups
