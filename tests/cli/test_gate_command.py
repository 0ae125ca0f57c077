"""What ``harness gate --base`` leaves out, so that each side runs its own code; and how a gate can end."""

import errno
import os
import sys
from types import SimpleNamespace

import msgspec
import pytest
from support.made_gates import made_benchmark

from harness.cli.gate import _environments, _exit_code, _leave_out_what_both_would_share
from harness.cli.gate_display import GateDisplay
from harness.errors import UsageError
from harness.gate import recorder
from harness.gate.folding import folded
from harness.gate.record import EnvironmentRecord, GateRecord
from harness.gate.recorder import GateRecorder
from harness.gate.suite import read_suite
from harness.plugins import registry
from harness.report.gate_words import headline


def test_pythonpath_is_left_out_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv(registry.PLUGIN_FILES_VARIABLE, raising=False)
    monkeypatch.setenv("PYTHONPATH", "src")
    said = []
    _leave_out_what_both_would_share(tmp_path, said.append)
    assert "PYTHONPATH" not in os.environ
    assert said == ["PYTHONPATH=src is left out, so that each side runs what is installed of it"]
    _leave_out_what_both_would_share(tmp_path, said.append)
    assert len(said) == 1


def test_a_plugin_file_of_the_checkout_is_refused(tmp_path, monkeypatch):
    files = [tmp_path / "elsewhere.py", tmp_path / "project" / "mine.py"]
    monkeypatch.setenv(registry.PLUGIN_FILES_VARIABLE, str(files[0]))
    _leave_out_what_both_would_share(tmp_path / "project", [].append)
    monkeypatch.setenv(registry.PLUGIN_FILES_VARIABLE, os.pathsep.join(map(str, files)))
    with pytest.raises(UsageError, match="is of this checkout, and base would load it too"):
        _leave_out_what_both_would_share(tmp_path / "project", [].append)


def test_a_path_that_reaches_both_sides_is_told_in_the_outcome(tmp_path, monkeypatch):
    suite = tmp_path / "gate.toml"
    suite.write_text('[benchmarks.a]\nbackend = "torch"\ntask = "mlp"\n')
    options = dict.fromkeys(("base", "base_suite", "suite", "head_python"))
    options |= {"base_python": sys.executable, "base_env": (), "head_env": ()}

    def cautions(**changes):
        with _environments(read_suite(suite), options | changes, GateDisplay(quiet=True)) as (base, head, _):
            return [*base.cautions, *head.cautions]

    monkeypatch.setenv("PYTHONPATH", "src")
    assert cautions() == ["PYTHONPATH=src reaches both sides: its code is the same for both"]
    assert cautions(head_env=("PYTHONPATH=other",)) == []
    monkeypatch.delenv("PYTHONPATH")
    assert cautions() == []


@pytest.mark.parametrize(
    ("judged", "verdict", "code"), [({}, "INCONCLUSIVE", 2), ({"step": "FAIL"}, "FAIL", 1)]
)
def test_a_record_that_cannot_be_written_costs_no_verdict_and_is_never_green(
    monkeypatch, tmp_path, judged, verdict, code
):
    """The disk is full when the first benchmark was judged, as it was not at the beginning."""

    def refuse(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    def work():
        keeper.record.benchmarks.append(made_benchmark(verdicts=judged))
        keeper.judged(keeper.record.benchmarks[0], "look")

    monkeypatch.setattr(recorder, "replace_file", refuse)
    python = EnvironmentRecord(python="python", harness="0")
    keeper = GateRecorder(tmp_path, SimpleNamespace(), suite="", base=python, head=python, false_alarms=0.01)
    record = keeper.carried_out(work)
    assert (record.status, record.verdict) == ("failed", verdict)
    assert record.failure == f"the record {keeper.path} cannot be written: No space left on device"
    assert headline(record).startswith(f"{verdict}: the gate failed: the record ")
    assert _exit_code(record, "pass") == code
    assert folded(record, "pass") == verdict


def test_a_record_that_could_be_written_in_the_end_says_what_the_gate_said(monkeypatch, tmp_path):
    """There was room again, and yet not all was judged."""
    refused = [OSError(errno.ENOSPC, "No space left on device")]
    write = recorder.replace_file

    def replace_file(path, content):
        if refused:
            raise refused.pop()
        write(path, content)

    def work():
        keeper.record.benchmarks.append(made_benchmark())
        keeper.judged(keeper.record.benchmarks[0], "look")

    monkeypatch.setattr(recorder, "replace_file", replace_file)
    python = EnvironmentRecord(python="python", harness="0")
    keeper = GateRecorder(tmp_path, SimpleNamespace(), suite="", base=python, head=python, false_alarms=0.01)
    record = keeper.carried_out(work)
    kept = msgspec.json.decode(keeper.path.read_bytes(), type=GateRecord)
    assert (kept.status, kept.verdict) == (record.status, record.verdict) == ("failed", "INCONCLUSIVE")
