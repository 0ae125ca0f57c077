"""The variables of a worker: which GPUs it sees, its threads, its allocator."""

import os
import platform

import pytest
from support.command import python

from harness.core.machine.worker_variables import inherited_variables, worker_variables


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
        ("cuda:0", "", ""),
        ("cuda:1", "", "-1"),
        ("cuda:2", "0,-1,3", "-1"),  # as CUDA reads it
        ("cuda:1", "0, 3", "3"),
    ],
)
def test_the_gpus_that_a_worker_sees(device, users_own, visible):
    inherited = {} if users_own is None else {"CUDA_VISIBLE_DEVICES": users_own}
    assert worker_variables(1, device, inherited).get("CUDA_VISIBLE_DEVICES") == visible


def test_jax_is_kept_on_the_cpu_only_where_the_cpu_is_asked_for():
    assert worker_variables(1, "cpu", {})["JAX_PLATFORMS"] == "cpu"
    assert "JAX_PLATFORMS" not in worker_variables(1, "auto", {})
    assert "JAX_PLATFORMS" not in worker_variables(1, "cuda:0", {})


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_the_requested_threads_replace_the_users(name):
    assert worker_variables(3, "auto", {name: "16"})[name] == "3"


def test_only_glibc_is_set_to_keep_memory(monkeypatch):
    keeps = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_ARENA_MAX": "1"}
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.39"))
    assert worker_variables(1, "cpu", {}).items() >= keeps.items()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not worker_variables(1, "cpu", {}).keys() & keeps.keys()


_FAULTS_OF_A_SECOND_THREAD = """
import ctypes, resource, threading

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def step():
    blocks = [libc.malloc({mebibytes} << 20) for _ in range(3)]
    for block in blocks:
        ctypes.memset(block, 1, {mebibytes} << 20)
    for block in blocks:
        libc.free(block)

def steps():
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be set to keep its memory")
@pytest.mark.parametrize("mebibytes", [40, 80])
def test_memory_of_other_threads_is_kept_too(mebibytes):
    """Blocks of which one or none fits into a heap of a thread's own arena."""
    environment = os.environ | worker_variables(1, "cpu", os.environ)
    program = _FAULTS_OF_A_SECOND_THREAD.format(mebibytes=mebibytes)
    assert int(python(program, env=environment)) < 100


def test_variables_are_strings_and_the_users_environment_is_left_alone():
    inherited = {"CUDA_VISIBLE_DEVICES": "1,0", "HOME": "here"}
    variables = worker_variables(2, "cuda:1", inherited)
    assert all(isinstance(value, str) for value in variables.values())
    assert variables["PYTHONHASHSEED"] == "0", "hashes are the same in every worker"
    assert inherited == {"CUDA_VISIBLE_DEVICES": "1,0", "HOME": "here"}
    assert "HOME" not in variables


def test_inherited_variables_that_influence_speed_are_listed():
    user = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "7", "HOME": "/", "LD_PRELOAD": "libjemalloc.so"}
    assert inherited_variables(user, {"OMP_NUM_THREADS": "2"}) == {
        "LD_PRELOAD": "libjemalloc.so",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
