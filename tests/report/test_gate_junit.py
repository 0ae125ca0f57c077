"""A gate as JUnit XML, parsed as GitLab and Jenkins parse it."""

import re

import pytest
from support.gate_formats import SHOWN, Report, hostile_gate, interrupted_gate, invalid_benchmark
from support.made_gates import made_benchmark, made_gate, mixed_gate

from harness.gate import reasons
from harness.report.ci_formats import junit_xml


@pytest.mark.parametrize(
    ("inconclusive", "status", "failures", "skipped"),
    [(None, "failure", 4, 0), ("fail", "failure", 4, 0), ("pass", "skipped", 3, 1)],
)
def test_junit_has_a_case_for_each_metric_and_counts_them(inconclusive, status, failures, skipped):
    record = mixed_gate()
    record.benchmarks.append(invalid_benchmark("noisy"))
    report = Report(junit_xml(record, inconclusive))
    assert len(report.cases) == 5 * 4 + 1
    for element in (report.root, report.suite):
        counts = {key: element.get(key) for key in ("tests", "failures", "errors", "skipped")}
        expected = {"tests": 21, "failures": failures, "errors": 1, "skipped": skipped}
        assert counts == {key: str(count) for key, count in expected.items()}
        assert float(element.get("time")) == 300
    assert len(report.suite.findall("testcase/failure")) == failures
    assert len(report.suite.findall("testcase/skipped")) == skipped
    assert report.status("rnn-compiled", "step") == "failure"
    assert report.status("rnn-compiled", "memory") == "passed"
    assert report.status("mlp", "memory") == status
    assert report.status("gan", "quality") == "failure"
    assert report.status("forecast", "ran") == "failure"
    assert report.status("noisy", "step") == "error"
    assert {report.status("cnn", metric) for metric in ("step", "first step", "memory", "quality")} == {
        "passed"
    }


def test_junit_has_reason_and_advice_where_each_system_shows_them():
    failure = Report(junit_xml(mixed_gate())).failure("rnn-compiled", "step")
    assert failure.get("type") == "FAIL"
    message = (
        r"step \+\d\.\d % \[\d\.\d, \d\.\d\], limit 5 % \(8 pairs, p = 0\.0075\): "
        "head is proven worse than base"
    )
    assert re.fullmatch(message, failure.get("message"))  # Jenkins
    assert re.match(message, failure.text)  # GitLab
    assert "harness duel torch:compile torch:compile" in failure.text


def test_junit_has_the_numbers_as_properties():
    record = mixed_gate()
    case = Report(junit_xml(record)).cases["gate.rnn-compiled", "step"]
    numbers = {each.get("name"): each.get("value") for each in case.findall("properties/property")}
    result = record.benchmarks[1].metrics[0]
    assert float(numbers["ratio"]) == result.ratio.value
    assert float(numbers["head"]) == result.head
    assert (numbers["stage"], numbers["pairs"]) == ("confirmation", "8")


@pytest.mark.parametrize("record", [made_gate(), interrupted_gate()])
def test_junit_of_an_empty_or_interrupted_gate_is_not_green(record):
    assert Report(junit_xml(record)).root.get("errors") == "1"


def test_junit_has_the_failure_of_a_head_that_crashed_while_a_metric_was_undecided():
    crashed = made_benchmark(
        verdicts={"step": "INCONCLUSIVE"},
        verdict="FAIL",
        reasons=[reasons.Failed(label="head", message="the worker was ended by SIGSEGV")],
    )
    report = Report(junit_xml(made_gate(crashed), "pass"))
    assert report.root.get("failures") == "1"
    assert "SIGSEGV" in report.failure("cnn", "ran").get("message")


def test_junit_of_a_passed_gate_is_green():
    report = Report(junit_xml(made_gate(made_benchmark())))
    assert (report.root.get("tests"), report.root.get("failures")) == ("4", "0")


def test_junit_escapes_any_text():
    content = junit_xml(hostile_gate())
    report = Report(content)
    assert ("gate." + SHOWN, "step") in report.cases
    assert report.status(SHOWN, "step") == "failure"
    assert SHOWN in report.failure(SHOWN, "quality").text
    assert content.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
