"""Executors: this machine, and those of features, by the options of a command."""

import contextlib
from dataclasses import replace

import pytest

from harness.core.shell import executors, features
from harness.core.shell.executors import AskedJobs, ThisMachine, executor_of
from harness.core.shell.features import Feature
from harness.core.shell.options import ExecutorOptions
from harness.errors import PluginError, UsageError


@contextlib.contextmanager
def elsewhere(address, jobs):
    yield f"connected to {address} for {jobs and jobs.number} at once"


def test_this_machine_does_work_itself(tmp_path):
    class Work:
        def do(self, folder, notify):
            notify("begun")
            return folder

    events = []
    with executor_of(ExecutorOptions(executor="local", address=None)) as executor:
        assert isinstance(executor, ThisMachine)
        assert executor.carry_out(Work(), tmp_path, events.append) == tmp_path
    assert events == ["begun"]


def test_an_address_is_refused_where_there_is_no_cluster():
    with (
        pytest.raises(UsageError, match="add --executor ray"),
        executor_of(ExecutorOptions(executor="local", address="a:1")),
    ):
        pass


def test_jobs_have_one_thread_each_and_as_many_places_as_fit(monkeypatch):
    monkeypatch.setattr(executors, "most_jobs", lambda threads, _device, _cpus, _gpus: 6 // threads)
    given = ExecutorOptions(executor="local", address=None)
    found = {}
    for number, threads in ((None, []), (3, []), (0, []), (0, [2]), (0, [1, 3])):
        with executor_of(given, AskedJobs.of(number, threads, "cpu")) as executor:
            found[number, str(threads)] = executor.jobs, executor.threads
    assert list(found.values()) == [(None, None), (3, 1), (6, 1), (3, 1), (2, 1)]


def test_a_feature_brings_an_executor_by_its_name(monkeypatch):
    monkeypatch.setattr(features, "named", lambda _hook: {"other": f"{__name__}:elsewhere"})
    given = ExecutorOptions(executor="other", address="a:1")
    for jobs, number in ((None, None), (AskedJobs(2, 1, "cpu"), 2)):
        with executor_of(given, jobs) as executor:
            assert executor == f"connected to a:1 for {number} at once"


def test_a_part_of_a_machine_has_as_many_places_as_fit_it(monkeypatch):
    monkeypatch.setattr(executors, "usable_cpus", lambda: 6)
    sizes = {(None, 0): 6, (4, 0): 4, (64, 0): 6, (4, 2): 2}
    for (cpus, gpus), number in sizes.items():
        with AskedJobs(0, 1, "auto").crew(cpus, gpus) as crew:
            assert len(crew.places) == number


@contextlib.contextmanager
def unreachable(address, _jobs):
    raise ConnectionError(f"no answer from {address}")
    yield


@contextlib.contextmanager
def reachable(_address, _jobs):
    yield "executor"


def test_an_executor_of_another_package_that_cannot_connect_is_named(monkeypatch):
    places = {name: f"{__name__}:{name}" for name in ("unreachable", "reachable")}
    monkeypatch.setattr(features, "features", lambda: (Feature("far", "Far", executors=places),))
    given = ExecutorOptions(executor="unreachable", address="far:1")
    fault = "feature unreachable: .*:unreachable: ConnectionError: no answer from far:1"
    with pytest.raises(PluginError, match=fault), executor_of(given):
        pass
    # What the command does with an executor is no fault of connecting.
    with pytest.raises(ZeroDivisionError), executor_of(replace(given, executor="reachable")):
        raise ZeroDivisionError
