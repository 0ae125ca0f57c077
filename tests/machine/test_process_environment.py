"""The environment of a worker: which GPUs it sees, its threads, its allocator."""

import os
import platform

import psutil
import pytest

from harness.machine import process_environment
from harness.machine.description import default_threads
from harness.machine.process_environment import (
    WORKER_CPUS,
    allowed_cpus,
    cpu_count,
    inherited_variables,
    worker_variables,
)


@pytest.mark.parametrize(
    ("device", "users_own", "visible"),
    [
        ("cpu", None, "-1"),
        ("cpu", "0,1", "-1"),
        ("auto", None, "0"),
        ("auto", "1", "1"),
        ("auto", "-1", "-1"),
        ("cuda", None, "0"),
        ("cuda", "3,1", "3"),
        ("cuda:0", None, "0"),
        ("cuda:2", None, "2"),
        ("cuda:0", "5,3", "5"),
        ("cuda:1", "5,3", "3"),
        ("cuda:1", "GPU-aa,GPU-bb", "GPU-bb"),
        ("cuda:2", "5,3", "-1"),
        ("cuda:1", "", "-1"),
    ],
)
def test_the_gpus_that_a_worker_sees(device, users_own, visible):
    inherited = {} if users_own is None else {"CUDA_VISIBLE_DEVICES": users_own}
    assert worker_variables(1, device, inherited).get("CUDA_VISIBLE_DEVICES") == visible


def test_where_the_user_shows_no_gpu_none_is_seen():
    settings = {"CUDA_VISIBLE_DEVICES": ""} | worker_variables(1, "cuda:0", {"CUDA_VISIBLE_DEVICES": ""})
    assert settings["CUDA_VISIBLE_DEVICES"] in {"", "-1"}


def test_jax_is_kept_on_the_cpu_only_where_that_was_asked():
    assert worker_variables(1, "cpu", {})["JAX_PLATFORMS"] == "cpu"
    assert "JAX_PLATFORMS" not in worker_variables(1, "auto", {})
    assert "JAX_PLATFORMS" not in worker_variables(1, "cuda:0", {})


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_the_threads_asked_for_replace_the_users(name):
    assert worker_variables(3, "auto", {name: "16"})[name] == "3"


def test_only_glibc_is_told_to_keep_memory(monkeypatch):
    keeps = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36)}
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.39"))
    assert worker_variables(1, "cpu", {}).items() >= keeps.items()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not worker_variables(1, "cpu", {}).keys() & keeps.keys()


def test_hashes_are_the_same_in_every_worker():
    assert worker_variables(1, "cpu", {})["PYTHONHASHSEED"] == "0"


def test_settings_are_strings_and_the_users_environment_is_left_alone():
    inherited = {"CUDA_VISIBLE_DEVICES": "1,0", "HOME": "here"}
    settings = worker_variables(2, "cuda:1", inherited)
    assert all(isinstance(value, str) for value in settings.values())
    assert inherited == {"CUDA_VISIBLE_DEVICES": "1,0", "HOME": "here"}
    assert "HOME" not in settings


def test_allowed_cpus_are_those_of_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(process_environment.os, "sched_getaffinity", lambda _pid: {5, 2}, raising=False)
    assert allowed_cpus() == [2, 5]


def test_allowed_cpus_without_affinity_are_all(monkeypatch):
    monkeypatch.delattr(process_environment.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(process_environment.os, "cpu_count", lambda: 3)
    assert allowed_cpus() == [0, 1, 2]


@pytest.mark.parametrize(
    ("setting", "device", "shown"), [("0,-1,3", "cuda:2", "-1"), ("0, 3", "cuda:1", "3")]
)
def test_the_users_list_is_read_as_cuda_reads_it(setting, device, shown):
    assert worker_variables(1, device, {"CUDA_VISIBLE_DEVICES": setting})["CUDA_VISIBLE_DEVICES"] == shown


def test_what_bears_on_speed_and_was_inherited_is_told():
    user = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "7", "HOME": "/", "LD_PRELOAD": "libjemalloc.so"}
    assert inherited_variables(user, {"OMP_NUM_THREADS": "2"}) == {
        "LD_PRELOAD": "libjemalloc.so",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


# --- CPUs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "usable"),
    [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("800000 100000", 4), (None, 4)],
)
def test_a_containers_quota_bounds_what_a_worker_can_use(monkeypatch, tmp_path, granted, usable):
    if granted:
        (tmp_path / "cpu.max").write_text(granted + "\n")
    monkeypatch.setattr(process_environment, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(process_environment, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4)  # noqa: ARG005  psutil's own
    assert cpu_count({}) == cpu_count({WORKER_CPUS: "0,1,2,3"}) == default_threads() == usable


def test_the_quota_of_a_group_within_a_group_counts_too(monkeypatch, tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "own").write_text("1:name=systemd:/elsewhere\n0::/outer/inner\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    monkeypatch.setattr(process_environment, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(process_environment, "_OWN_GROUP", tmp_path / "own")
    assert process_environment.cpu_quota() == 1.5
    (inner / "cpu.max").write_text("50000 100000\n")
    assert process_environment.cpu_quota() == 0.5


@pytest.fixture
def four_threads_on_two_cores(monkeypatch):
    """CPUs 0 and 1 share a core, 2 and 3 another one; ``busy`` may be filled by the test."""
    busy: set[int] = set()
    monkeypatch.setattr(process_environment, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(process_environment, "_core_of", lambda cpu: f"core {cpu // 2}")
    monkeypatch.setattr(process_environment, "_busy_cpus", lambda: busy)
    monkeypatch.setattr(process_environment, "_memory_of", lambda _: "node0")
    monkeypatch.setattr(process_environment, "cpu_quota", lambda: None)
    process_environment._best_first.cache_clear()
    yield busy
    process_environment._best_first.cache_clear()


@pytest.mark.parametrize(("threads", "cpus"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_a_worker_has_cores_of_its_own_before_it_shares_one(four_threads_on_two_cores, threads, cpus):
    assert process_environment.cpus_for(threads) == cpus


def test_a_cpu_that_is_busy_is_left_to_others(four_threads_on_two_cores):
    four_threads_on_two_cores.add(0)
    assert process_environment.cpus_for(1) == [2]


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
    settings = [{WORKER_CPUS: cpus} for cpus in own]
    assert process_environment.places_to_start(settings) == places


def test_no_worker_starts_away_from_its_memory_or_beyond_a_quota(four_threads_on_two_cores, monkeypatch):
    two = [{WORKER_CPUS: "0"}] * 2
    monkeypatch.setattr(process_environment, "_memory_of", lambda cpu: f"node{cpu % 2}")
    assert process_environment.places_to_start(two) == [[0], [2]]
    assert process_environment.places_to_start([*two, two[0]]) is None
    monkeypatch.setattr(process_environment, "_memory_of", lambda cpu: f"node{cpu // 2}")
    assert process_environment.places_to_start(two) == [[0], [1]]
    monkeypatch.setattr(process_environment, "cpu_quota", lambda: 1.5)
    assert process_environment.places_to_start(two) is None


def test_the_cpus_of_a_worker_are_among_its_settings_where_it_may_not_use_all(four_threads_on_two_cores):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system binds no process")
    assert worker_variables(2, "cpu", {})[WORKER_CPUS] == "0,2"
    assert WORKER_CPUS not in worker_variables(4, "cpu", {})


def test_the_hardware_threads_of_the_same_cores_are_watched_with_a_workers_own(monkeypatch):
    siblings = {0: "0,4", 1: "1,5", 2: "2-3", 3: "2-3", 7: "7"}
    monkeypatch.setattr(process_environment, "_core_of", siblings.get)
    assert process_environment.on_their_cores([0, 2, 7]) == {0, 4, 2, 3, 7}
