"""Executors: this machine, and those of features, by the options of a command."""

import contextlib

import pytest

from harness.core.shell import features
from harness.core.shell.executors import ThisMachine, executor_of
from harness.errors import UsageError


@contextlib.contextmanager
def elsewhere(address):
    yield f"connected to {address}"


def test_this_machine_does_work_itself(tmp_path):
    class Work:
        def do(self, folder, notify):
            notify("begun")
            return folder

    events = []
    with executor_of({"executor": "local", "address": None}) as executor:
        assert isinstance(executor, ThisMachine)
        assert executor.carry_out(Work(), tmp_path, events.append) == tmp_path
    assert events == ["begun"]


def test_an_address_is_refused_where_there_is_no_cluster():
    with (
        pytest.raises(UsageError, match="add --executor ray"),
        executor_of({"executor": "local", "address": "a:1"}),
    ):
        pass


def test_a_feature_brings_an_executor_by_its_name(monkeypatch):
    monkeypatch.setattr(features, "named", lambda _hook: {"other": f"{__name__}:elsewhere"})
    with executor_of({"executor": "other", "address": "a:1"}) as executor:
        assert executor == "connected to a:1"
