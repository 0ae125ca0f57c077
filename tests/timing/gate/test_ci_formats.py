"""Gates in the formats of CI systems: JUnit, GitHub and Bencher; and where they are written."""

import errno
import json
import re

import pytest
from support.gate_formats import (
    SHOWN,
    Report,
    commands,
    hostile_gate,
    interrupted_gate,
    invalid_benchmark,
)
from support.made_gates import failed, made_benchmark, made_gate, mixed_gate

from harness.core.documents.render.markdown import markdown
from harness.core.documents.render.terminal import terminal_text
from harness.errors import HarnessError, UsageError
from harness.timing.gate import answer, ci_formats
from harness.timing.gate.ci_formats import bencher_json, junit_xml
from harness.timing.gate.page import gate_document
from harness.timing.gate.record import folded

FORMATS = {
    "junit": lambda record: junit_xml(record).decode(),
    "markdown": lambda record: markdown(gate_document(record)),
    "annotations": lambda record: "\n".join(ci_formats.annotations(record)),
    "bencher": lambda record: bencher_json(record).decode(),
}
#: A number with more digits than are the same on every machine.
LONG = re.compile(r"\d+\.\d{6,}")


@pytest.mark.parametrize("form", FORMATS)
def test_a_gate_in_every_format(form, snapshot):
    """Of a benchmark that is slower, and of one that crashed."""
    written = FORMATS[form](made_gate(*mixed_gate().benchmarks[1::3]))
    assert LONG.sub(lambda match: f"{float(match[0]):.6g}", written) == snapshot


# JUnit, parsed as GitLab and Jenkins parse it.


@pytest.mark.parametrize(
    ("inconclusive", "status", "failures", "skipped"),
    [(None, "failure", 4, 0), ("fail", "failure", 4, 0), ("pass", "skipped", 3, 1)],
)
def test_junit_has_a_case_for_each_metric_and_counts_them(inconclusive, status, failures, skipped):
    record = mixed_gate()
    record.benchmarks.append(invalid_benchmark("noisy"))
    report = Report(junit_xml(record, inconclusive))
    for element in (report.root, report.suite):
        counts = [element.get(key) for key in ("tests", "failures", "errors", "skipped")]
        assert counts == list(map(str, (5 * 4 + 1, failures, 1, skipped)))
        assert float(element.get("time")) == 300
    assert len(report.suite.findall("testcase/failure")) == failures
    assert len(report.suite.findall("testcase/skipped")) == skipped
    statuses = {
        ("rnn-compiled", "step"): "failure",
        ("rnn-compiled", "memory"): "passed",
        ("mlp", "memory"): status,
        ("gan", "quality"): "failure",
        ("forecast", "ran"): "failure",
        ("noisy", "step"): "error",
        ("cnn", "first step"): "passed",
        ("cnn", "quality"): "passed",
    }
    assert {case: report.status(*case) for case in statuses} == statuses


def test_junit_has_the_failure_of_a_head_that_crashed_while_a_metric_was_undecided():
    crash = failed("the worker was ended by SIGSEGV")
    crashed = made_benchmark(verdicts={"step": "INCONCLUSIVE"}, verdict="FAIL", reasons=[crash])
    report = Report(junit_xml(made_gate(crashed), "pass"))
    assert report.root.get("failures") == "1"
    assert "SIGSEGV" in report.failure("cnn", "ran").get("message")


def test_junit_escapes_any_text():
    report = Report(junit_xml(hostile_gate()))
    assert report.status(SHOWN, "step") == "failure"
    assert SHOWN in report.failure(SHOWN, "quality").text


# GitHub.


def test_markdown_escapes_any_text():
    text = markdown(gate_document(hostile_gate()))
    assert "\x1b" not in text
    code = re.compile(r"```sh\n[^`]*\n *```")
    assert "<b>" not in code.sub("", text)
    assert "`" not in re.sub(r"\\`", "", code.sub("", text))
    assert code.sub("", text).count("<") == 8  # two details and their summaries
    table = [line for line in text.split("<details>")[0].splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}


def test_the_step_summary_is_appended_to(tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    ci_formats.add_to_step_summary(mixed_gate(), {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.read_text() == "before\n" + markdown(gate_document(mixed_gate()))
    ci_formats.add_to_step_summary(mixed_gate(), {})


@pytest.mark.parametrize(
    ("inconclusive", "kind"), [(None, "warning"), ("pass", "warning"), ("fail", "error")]
)
def test_annotations_of_benchmarks_that_did_not_pass(inconclusive, kind):
    assert [(each, title) for each, title, _ in commands(mixed_gate(), inconclusive)] == [
        ("error", "FAIL: rnn-compiled"),
        ("error", "FAIL: gan"),
        ("error", "FAIL: forecast"),
        (kind, "INCONCLUSIVE: mlp"),
    ]


def test_annotations_of_gates_whose_benchmarks_all_passed():
    assert commands(made_gate(made_benchmark())) == []
    for record in (made_gate(), interrupted_gate()):
        ((kind, title, _),) = commands(record)
        assert (kind, title) == ("error", "INVALID: harness gate")


def test_annotations_escape_any_text_and_are_printed_on_runners_only():
    ((kind, title, message),) = commands(hostile_gate())
    assert (kind, title) == ("error", f"FAIL: {SHOWN}")
    assert SHOWN in message
    assert ci_formats.annotates({"GITHUB_ACTIONS": "true"})
    assert not ci_formats.annotates({})


# All outputs together.


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("junit.xml", "<?xml version='1.0' encoding='utf-8'?>"),
        ("summary.md", "## "),
        ("gate.html", "<!doctype html>"),
        ("bencher.json", "{"),
    ],
)
def test_the_suffix_selects_the_format(tmp_path, name, begins):
    ci_formats.check_target(tmp_path / name)
    ci_formats.write_gate(mixed_gate(), tmp_path / name)
    assert (tmp_path / name).read_text("utf-8").startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["gate.pdf", "gate"])
def test_targets_that_cannot_be_written_are_refused_before_the_gate(tmp_path, name):
    with pytest.raises(UsageError, match="--to"):
        ci_formats.check_target(tmp_path / name)


def asked(results, *targets):
    """Return the options of a gate that writes to these files."""
    return answer.GateOptions(
        results=results, form="table", quiet=True, targets=targets, budget=None, turns=None, profile=False
    )


def test_an_output_that_cannot_be_written_leaves_the_others_and_the_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    written, unwritable = tmp_path / "gate.xml", tmp_path / "nowhere" / "gate.xml"
    options = asked(tmp_path, unwritable, written)
    with pytest.raises(HarnessError, match=r"nowhere/gate.xml"):
        answer.Answer(options).give(mixed_gate())
    assert written.exists()
    out, err = capsys.readouterr()
    assert "GITHUB_STEP_SUMMARY" in err
    assert "FAIL" in out


@pytest.mark.parametrize(("fault", "message"), [(errno.EPIPE, ""), (errno.ENOSPC, "cannot write the output")])
def test_a_closed_standard_output_leaves_the_verdict(tmp_path, monkeypatch, capsys, fault, message):
    def broken(*_):
        raise OSError(fault, "broken")

    discarded = []
    monkeypatch.setattr(answer, "deliver", broken)
    monkeypatch.setattr(answer, "discard", discarded.append)
    options = asked(tmp_path)
    assert answer.Answer(options).give(mixed_gate()) == 1
    assert discarded
    printed = capsys.readouterr().err
    assert message in printed
    assert bool(message) == bool(printed)


UNDECIDED = made_benchmark("mlp", memory=1.1, confirmed=8, verdicts={"memory": "INCONCLUSIVE"})
ALWAYS = (None, "pass", "fail")


@pytest.mark.parametrize(
    ("record", "verdicts"),
    [
        (made_gate(made_benchmark(), UNDECIDED), {None: "INCONCLUSIVE", "pass": "PASS", "fail": "FAIL"}),
        (made_gate(invalid_benchmark()), dict.fromkeys(ALWAYS, "INVALID")),
        (made_gate(), dict.fromkeys(ALWAYS, "INVALID")),
        (interrupted_gate(), dict.fromkeys(ALWAYS, "INVALID")),
        (mixed_gate(), dict.fromkeys(ALWAYS, "FAIL")),
        (made_gate(made_benchmark()), dict.fromkeys(ALWAYS, "PASS")),
    ],
    ids=["undecided", "invalid", "empty", "interrupted", "failed", "passed"],
)
def test_every_format_agrees_with_the_folded_verdict(record, verdicts):
    for inconclusive, verdict in verdicts.items():
        assert folded(record, inconclusive) == verdict
        root = Report(junit_xml(record, inconclusive)).root
        assert (root.get("failures") == root.get("errors") == "0") == (verdict == "PASS")
        errors = [kind for kind, _, _ in commands(record, inconclusive) if kind == "error"]
        assert bool(errors) == (verdict in {"FAIL", "INVALID"})


def test_a_metric_without_usable_pairs_has_no_figure_and_breaks_no_format():
    record = made_gate(invalid_benchmark())
    for text in (terminal_text(gate_document(record), 120), markdown(gate_document(record))):
        assert "–" in text
        assert "4 of 4 pairs" in text
    assert Report(junit_xml(record)).status("cnn", "step") == "error"
    measures = json.loads(bencher_json(record))["cnn"]
    assert ("step-ratio" in measures, "memory-ratio" in measures) == (False, True)
    assert all("value" in each for each in measures.values())  # the format requires it
