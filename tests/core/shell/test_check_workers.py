"""Checks share the CPUs: several tasks at the same time, one worker on each group of CPUs."""

import os
import threading
import time
from types import SimpleNamespace

import pytest

from harness.core.certify.certify import Selection
from harness.core.certify.page import Status
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.shell import checks
from harness.core.shell.checks import Check, check_all
from harness.errors import HarnessError

if not hasattr(os, "sched_getaffinity"):
    pytest.skip("processes cannot be bound to CPUs here", allow_module_level=True)

TORCH, KERAS = (Configuration(name, mode, "cpu", 1) for name, mode in (("torch", "eager"), ("keras", "fit")))
TASKS = ("mlp", "gan", "rnn", "cnn")
CHECKS = [Check(each, registry.task(name)) for each in (TORCH, KERAS) for name in TASKS]
CPUS = sorted(os.sched_getaffinity(0))
#: As many groups as a test wants workers, whatever this machine has.
TWO = [[CPUS[0]], [CPUS[-1]]]
#: Long enough for two threads to meet.
PATIENCE_SECONDS = 30.0


class FakeExaminer:
    """A worker without a process; ``killed`` ends what it does."""

    started: list["FakeExaminer"]

    def __init__(self, configuration):
        self.configuration, self.killed = configuration, threading.Event()
        self.started.append(self)

    def kill(self):
        self.killed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def made(monkeypatch):
    """Replaces workers and checks, in which ``act`` is called.

    ``order`` is what was checked: task, configuration, CPUs.
    """
    made = SimpleNamespace(order=[], act=lambda _outcome, _examiner, _definition: None)

    class Recorded:
        status = Status.AGREES

        def __init__(self, examiner, definition, _selection):
            self.of = (examiner.configuration.backend, definition.name)
            made.order.append((definition.name, examiner.configuration, os.sched_getaffinity(0)))
            made.act(self, examiner, definition)

    monkeypatch.setattr(FakeExaminer, "started", [], raising=False)
    monkeypatch.setattr(checks, "Examiner", FakeExaminer)
    monkeypatch.setattr(checks, "check_once", Recorded)
    return made


def test_outcomes_are_in_the_order_of_the_checks(made):
    outcomes = check_all(CHECKS, Selection(), TWO)
    assert [outcome.of for outcome in outcomes] == [
        (each.backend, name) for each in (TORCH, KERAS) for name in TASKS
    ]


def test_two_checks_are_made_at_the_same_time_on_cpus_of_their_own(made):
    meeting = threading.Barrier(2)
    made.act = lambda *_: meeting.wait(PATIENCE_SECONDS)
    check_all(CHECKS, Selection(), TWO)
    used = [cpus for _, _, cpus in made.order]
    assert {frozenset(cpus) for cpus in used} == {frozenset(group) for group in TWO}
    assert os.sched_getaffinity(0) == set(CPUS)


def test_the_largest_networks_come_first_and_a_worker_serves_all_of_its_configuration(made):
    check_all(CHECKS, Selection(), TWO[:1])
    assert [name for name, _, _ in made.order] == ["gan", "rnn", "cnn", "mlp"] * 2
    assert [examiner.configuration for examiner in FakeExaminer.started] == [TORCH, KERAS]


def test_fail_fast_makes_one_check_after_the_other_and_none_after_a_failure(made):
    def fail(outcome, examiner, definition):
        if definition.name == "gan":
            outcome.status = Status.DEVIATES

    made.act = fail
    outcomes = check_all(CHECKS, Selection(fail_fast=True), TWO)
    assert [outcome.of for outcome in outcomes] == [("torch", "mlp"), ("torch", "gan")]


def test_an_error_ends_the_other_workers_and_is_raised(made):
    def break_one(outcome, examiner, definition):
        if definition.name == "rnn":
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(FakeExaminer.started) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            raise HarnessError("the reference is gone")
        assert examiner.killed.wait(PATIENCE_SECONDS)

    made.act = break_one
    with pytest.raises(HarnessError, match="the reference is gone"):
        check_all(CHECKS, Selection(), TWO)
    assert sorted(name for name, _, _ in made.order) == ["gan", "rnn"]


def test_nothing_to_check_is_no_error(made):
    assert check_all([], Selection(), TWO) == []
