"""What ``harness gate`` prints while it runs, how it ends, and that base and head run their own code."""

import errno
import os
import re
from types import SimpleNamespace

import msgspec
import pytest
from support.made_gates import made_benchmark, made_gate

from harness.core.documents import kinds as documents
from harness.core.plugins.files import PLUGIN_FILES_VARIABLE
from harness.errors import UsageError
from harness.timing.environments.commits import _separate_code
from harness.timing.environments.environment import Environment, with_shared_path
from harness.timing.environments.suite import Suite
from harness.timing.gate.answer import exit_code
from harness.timing.gate.display import GateDisplay, progress_line
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import GateRecord, folded
from harness.timing.gate.runner import Gate, GateRequest


def test_pythonpath_is_ignored_and_a_line_says_so(tmp_path, monkeypatch, snapshot):
    monkeypatch.delenv(PLUGIN_FILES_VARIABLE, raising=False)
    monkeypatch.setenv("PYTHONPATH", "src")
    display = GateDisplay(quiet=True)
    said = []
    monkeypatch.setattr(display, "say", said.append)
    _separate_code(tmp_path, display)
    assert "PYTHONPATH" not in os.environ
    _separate_code(tmp_path, display)
    assert said == snapshot  # once


def test_a_plugin_file_of_the_checkout_is_refused(tmp_path, monkeypatch):
    files = [tmp_path / "elsewhere.py", tmp_path / "project" / "mine.py"]
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv(PLUGIN_FILES_VARIABLE, str(files[0]))
    _separate_code(tmp_path / "project", [].append)
    monkeypatch.setenv(PLUGIN_FILES_VARIABLE, "\n".join(map(str, files)))
    with pytest.raises(UsageError, match="is part of this checkout, so base would load head's version of it"):
        _separate_code(tmp_path / "project", [].append)


def test_a_path_that_applies_to_both_is_a_caution(monkeypatch, snapshot):
    base, head = (Environment(label=label, python="python") for label in ("base", "head"))
    monkeypatch.setenv("PYTHONPATH", "src")
    shared, _ = with_shared_path(base, head)
    assert shared.cautions == snapshot
    own = msgspec.structs.replace(head, variables={"PYTHONPATH": "other"})
    assert with_shared_path(base, own) == (base, own)
    monkeypatch.delenv("PYTHONPATH")
    assert with_shared_path(base, head) == (base, head)


def on_a_full_disk(monkeypatch, tmp_path, judged, *, times):
    """The recorder of a gate, and the record it returns, where so many writes of its record fail.

    The disk is full when the first benchmark was judged, as it was not at the beginning.
    """
    refused = [OSError(errno.ENOSPC, "No space left on device")] * times
    write = documents.replace_result

    def replace_file(path, content):
        if refused:
            raise refused.pop()
        write(path, content)

    def work():
        gate.record.benchmarks.append(made_benchmark(verdicts=judged))
        gate._judged(gate.record.benchmarks[0], "look")

    monkeypatch.setattr(documents, "replace_result", replace_file)
    python = Environment(label="base", python="python")
    request = GateRequest(suite=Suite(file="", benchmarks=()), base=python, head=python, datasets=[])
    gate = Gate(request, tmp_path, SimpleNamespace())
    monkeypatch.setattr(gate, "_measure", work)
    return gate, gate.carry_out()


@pytest.mark.parametrize(("judged", "verdict", "code"), [({}, "INVALID", 2), ({"step": "FAIL"}, "FAIL", 1)])
def test_a_record_that_cannot_be_written_costs_no_verdict_and_is_never_green(
    monkeypatch, tmp_path, judged, verdict, code
):
    kept, record = on_a_full_disk(monkeypatch, tmp_path, judged, times=99)
    assert (record.status, record.verdict) == ("failed", verdict)
    assert str(kept.path) in record.failure
    assert exit_code(record, "pass") == code
    assert folded(record, "pass") == verdict


def test_a_benchmark_without_a_pair_has_not_passed_where_the_gate_was_interrupted(monkeypatch, tmp_path):
    python = Environment(label="base", python="python")
    request = GateRequest(suite=Suite(file="", benchmarks=()), base=python, head=python, datasets=[])
    gate = Gate(request, tmp_path, SimpleNamespace())

    def work():
        gate.record.benchmarks.append(made_benchmark(metrics=[], look=[]))
        raise KeyboardInterrupt

    monkeypatch.setattr(gate, "_measure", work)
    (benchmark,) = gate.carry_out().benchmarks
    assert (benchmark.verdict, benchmark.reasons[0].kind) == ("INVALID", "not measured")


def test_a_record_that_could_be_written_in_the_end_says_what_the_gate_said(monkeypatch, tmp_path):
    """There was room again, and yet not all was judged."""
    kept, record = on_a_full_disk(monkeypatch, tmp_path, {}, times=1)
    stored = msgspec.json.decode(kept.path.read_bytes(), type=GateRecord)
    assert (stored.status, stored.verdict) == (record.status, record.verdict) == ("failed", "INVALID")


@pytest.mark.parametrize(
    ("status", "verdict", "options", "code"),
    [
        ("ok", "PASS", None, 0),
        ("ok", "FAIL", None, 1),
        ("ok", "INCONCLUSIVE", None, 3),
        ("ok", "INCONCLUSIVE", "pass", 0),
        ("ok", "INCONCLUSIVE", "fail", 1),
        ("ok", "INVALID", None, 4),
        ("ok", "INVALID", "pass", 4),
        ("ok", "INVALID", "fail", 4),
        ("failed", "INVALID", None, 2),
        ("failed", "FAIL", "pass", 1),
        ("interrupted", "FAIL", None, 130),
    ],
)
def test_exit_codes(status, verdict, options, code):
    verdicts = {"step": verdict} if verdict != "PASS" else {}
    assert exit_code(made_gate(made_benchmark(verdicts=verdicts), status=status), options) == code


def test_a_confirmation_says_what_is_undecided(capsys):
    benchmark = made_benchmark("mlp", verdicts={"step": "INCONCLUSIVE"}, step=1.2, noise=1e-6)
    display = GateDisplay(quiet=False)
    display.confirming(benchmark)
    display.stop()
    assert capsys.readouterr().err.strip() == "mlp: needs more pairs (step +20.0 % [20.0, 20.0])"


def test_progress_has_verdict_pairs_seconds_and_changes():
    benchmark = made_benchmark("mlp", verdicts={"step": "INCONCLUSIVE"}, step=1.2, noise=1e-6)
    line = r"mlp: needs more pairs after 3 pairs, 60 s \(step \+20\.0 % \[.*\], first step .+, memory .+\)"
    assert re.fullmatch(line, progress_line(benchmark, "look"))
    assert progress_line(benchmark, "confirmation").startswith("mlp: INCONCLUSIVE after 3 pairs")
    no_time = Reason(kind="not measured", text="the budget was spent before the first pair was made")
    spent = made_benchmark("mlp", metrics=[], look=[], verdict="INVALID", reasons=[no_time])
    assert progress_line(spent, "look").startswith("mlp: INVALID after 0 pairs")
