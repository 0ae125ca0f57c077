"""Certificates of several tasks are made at the same time; clocks are tested one after the other."""

import threading
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from harness.cli import check, check_tasks
from harness.cli.check_outcome import Status
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.testing.certify import Selection

TORCH = Configuration("torch", "eager", "cpu", 2)
TASKS = ["mlp", "gan", "cnn"]


class FakeExaminer:
    """A worker that is at work until it is killed, or not at all."""

    made: list["FakeExaminer"] = []  # noqa: RUF012  emptied by the fixture

    def __init__(self, configuration):
        self.configuration = configuration
        self.killed, self.paused = threading.Event(), False
        self.made.append(self)

    def pause(self):
        self.paused = True

    def kill(self):
        self.killed.set()

    def __exit__(self, *_exception):
        self.killed.set()


@pytest.fixture
def certified(monkeypatch):
    """Check three tasks of which ``work`` makes the certificates; notes when clocks are tested."""
    clocks = []
    monkeypatch.setattr(FakeExaminer, "made", [])
    monkeypatch.setattr(check_tasks, "Examiner", FakeExaminer)

    def made(work, selection=Selection(), configurations=(TORCH,), cpus=2):  # noqa: B008  immutable
        def outcome(examiner, definition, _selection):
            status = work(examiner, definition.name) or Status.AGREES

            def clock():
                clocks.append((definition.name, [one.paused for one in FakeExaminer.made]))

            return SimpleNamespace(name=definition.name, status=status, test_clock=clock)

        monkeypatch.setattr(check_tasks, "CheckOutcome", outcome)
        monkeypatch.setattr(check_tasks, "cpu_count", lambda _variables: cpus)
        definitions = [registry.task(name) for name in TASKS]
        done = check_tasks.check_tasks(list(configurations), definitions, selection)
        return [one.name for one in done], clocks

    return made


def test_two_are_made_at_once_the_longest_first_and_reported_in_order(certified):
    together, begun = threading.Barrier(2), []

    def work(_examiner, name):
        begun.append(name)
        if name != "mlp":
            together.wait(10)

    names, clocks = certified(work)
    assert names == [name for name, _ in clocks] == TASKS
    assert set(begun[:2]) == {"gan", "cnn"}
    assert all(paused == [True, True] for _, paused in clocks)
    assert all(one.configuration.variables == (("OMP_WAIT_POLICY", "passive"),) for one in FakeExaminer.made)


def test_one_cpu_or_a_gpu_takes_one_at_a_time(certified):
    assert certified(lambda *_: None, cpus=1)[0] == TASKS
    assert len(FakeExaminer.made) == 1
    certified(lambda *_: None, configurations=[Configuration("torch", "eager", "cuda", 2)])
    assert len(FakeExaminer.made) == 2


def test_fail_fast_makes_one_at_a_time_and_stops_all(certified):
    begun = []

    def work(_examiner, name):
        begun.append(name)
        return Status.DEVIATES if name == "gan" else None

    names, clocks = certified(work, Selection(fail_fast=True), [TORCH, TORCH])
    assert names == begun == [name for name, _ in clocks] == ["mlp", "gan"]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_an_exception_in_a_thread_ends_the_other_worker(certified, error):
    begun = threading.Barrier(2)

    def work(examiner, name):
        begun.wait(10)
        if name == "gan":
            raise error
        assert examiner.killed.wait(10)

    with pytest.raises(type(error)):
        certified(work)


@pytest.mark.slow
def test_workers_live_on_until_clocks_are_tested():
    """Linux ends a worker with the thread that started it."""
    chosen = ["--task", "mlp,forecast", "--case", "sgd", "--case", "clock", "--threads", "2"]
    done = CliRunner().invoke(check.command, ["torch", *chosen])
    assert "not checked" not in done.stdout
    assert "mlp: clock" in done.stderr
