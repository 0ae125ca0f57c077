"""An interrupt at any line leaves no duel and no gate that claims to be running."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from support.interrupts import every_interrupt
from support.records import make_request

from harness.core.documents import kinds as documents
from harness.timing.duel import runner
from harness.timing.environments.environment import Environment
from harness.timing.environments.suite import Suite
from harness.timing.gate import runner as gate_runner

PYTHON = Environment(label="base", python="python")


@pytest.mark.parametrize("failure", ["", "a pair failed"])
def test_a_duel_that_is_interrupted_anywhere_has_ended(failure, tmp_path, monkeypatch):
    workload = make_request()
    made = []

    def new_record(_request):
        made.append(SimpleNamespace(id="duel", status="running", failure=""))
        return made[-1]

    saved = []
    monkeypatch.setattr(runner, "new_record", new_record)
    monkeypatch.setattr(runner, "DUELS", Mock(save=lambda record, _folder: saved.append(record.status)))

    def duel():
        duel = runner.Duel(SimpleNamespace(workloads=[workload]), tmp_path, Mock())
        monkeypatch.setattr(duel, "_run", lambda: _save_and(duel, failure))
        return duel.carry_out()

    for _ in every_interrupt(duel, runner, documents):
        assert not saved or saved[-1] in {"failed" if failure else "ok", "interrupted"}
        saved.clear()


def _save_and(duel, failure):
    duel._save()
    if failure:
        raise runner.HarnessError(failure)


def test_a_gate_that_is_interrupted_anywhere_has_ended(tmp_path, monkeypatch):
    request = gate_runner.GateRequest(
        suite=Suite(file="", benchmarks=()), base=PYTHON, head=PYTHON, datasets=[]
    )
    saved = []
    monkeypatch.setattr(gate_runner, "GATES", Mock(save=lambda record, _folder: saved.append(record.status)))

    def gate():
        gate = gate_runner.Gate(request, tmp_path, Mock())
        monkeypatch.setattr(gate, "_measure", gate._save)
        return gate.carry_out()

    for _ in every_interrupt(gate, gate_runner, documents):
        assert not saved or saved[-1] in {"ok", "interrupted"}
        saved.clear()
