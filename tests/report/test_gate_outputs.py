"""All outputs of a gate together: files by suffix, standard output, the folded verdict."""

import errno
import json

import msgspec
import pytest
from support.gate_formats import Report, commands, families, invalid_benchmark
from support.made_gates import made_benchmark, made_gate, mixed_gate
from support.rendered import gate_markdown, gate_text

from harness.cli import gate
from harness.errors import HarnessError, UsageError
from harness.gate.record import folded
from harness.report import ci_formats
from harness.report.ci_formats import bencher_json, junit_xml, openmetrics_text


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("junit.xml", "<?xml"),
        ("summary.md", "## "),
        ("gate.html", "<!doctype html>"),
        ("metrics.txt", "# TYPE"),
        ("bencher.json", "{"),
    ],
)
def test_the_suffix_selects_the_format(tmp_path, name, begins):
    ci_formats.check_target(tmp_path / name)
    ci_formats.write_gate(mixed_gate(), tmp_path / name)
    assert (tmp_path / name).read_text("utf-8").startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["gate.pdf", "gate", "nowhere/junit.xml"])
def test_targets_that_cannot_be_written_are_refused_before_the_gate(tmp_path, name):
    with pytest.raises(UsageError, match="--to"):
        ci_formats.check_target(tmp_path / name)


def test_an_output_that_cannot_be_written_leaves_the_others_and_the_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    written, unwritable = tmp_path / "gate.xml", tmp_path / "nowhere" / "gate.xml"
    options = {"targets": [unwritable, written], "inconclusive": None, "form": "table"}
    with pytest.raises(HarnessError, match=r"cannot write .*nowhere/gate.xml: No such file"):
        gate.deliver(mixed_gate(), tmp_path / "record.json", options)
    assert written.exists()
    out, err = capsys.readouterr()
    assert "cannot write GITHUB_STEP_SUMMARY: No such file" in err
    assert "FAIL" in out


@pytest.mark.parametrize(("fault", "message"), [(errno.EPIPE, ""), (errno.ENOSPC, "cannot write the output")])
def test_a_closed_standard_output_leaves_the_verdict(tmp_path, monkeypatch, capsys, fault, message):
    def broken(*_):
        raise OSError(fault, "broken")

    discarded = []
    monkeypatch.setattr(gate, "_print", broken)
    monkeypatch.setattr(gate, "discard", discarded.append)
    options = {"targets": [], "inconclusive": None, "form": "table"}
    gate.deliver(mixed_gate(), tmp_path / "record.json", options)
    assert discarded
    printed = capsys.readouterr().err
    assert message in printed
    assert bool(message) == bool(printed)


def undecided(**changes):
    """A gate with one metric that is undecided."""
    benchmark = made_benchmark("mlp", memory=1.1, confirmed=8, verdicts={"memory": "INCONCLUSIVE"})
    return made_gate(made_benchmark("cnn"), msgspec.structs.replace(benchmark, **changes))


@pytest.mark.parametrize(
    ("record", "verdicts"),
    [
        (undecided(), {None: "INCONCLUSIVE", "pass": "PASS", "fail": "FAIL"}),
        (made_gate(invalid_benchmark()), dict.fromkeys((None, "pass", "fail"), "INVALID")),
        (made_gate(), dict.fromkeys((None, "pass", "fail"), "INVALID")),
        (mixed_gate(), dict.fromkeys((None, "pass", "fail"), "FAIL")),
        (made_gate(made_benchmark("cnn")), dict.fromkeys((None, "pass", "fail"), "PASS")),
    ],
    ids=["undecided", "invalid", "empty", "failed", "passed"],
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
    assert "–" in gate_text(record, 120)
    assert "disturbed 4 of 4 pairs" in gate_text(record, 120)
    assert Report(junit_xml(record)).status("cnn", "step") == "error"
    measures = json.loads(bencher_json(record))["cnn"]
    assert ("step-ratio" in measures, "memory-ratio" in measures) == (False, True)
    assert all("value" in each for each in measures.values())  # the format requires it
    families(openmetrics_text(record))
    assert "disturbed 4 of 4 pairs" in gate_markdown(record)
