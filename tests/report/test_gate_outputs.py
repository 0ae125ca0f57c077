"""A gate in the formats of CI systems, parsed as those systems parse them."""

import errno
import json
import re
import shlex
import sys
from typing import Literal, get_args
from xml.etree import ElementTree as ET

import msgspec
import pytest
from support.made_gates import BASE, HEAD, OTHER_LOSS, made_benchmark, made_gate, mixed_gate

from harness.cli import cli, gate_outputs
from harness.errors import HarnessError, UsageError
from harness.gate import reasons
from harness.gate.folding import folded
from harness.gate.record import QualityResult, SeedScores
from harness.gate.suite import Benchmark
from harness.plugins.options import Value
from harness.report.ci import github, targets
from harness.report.ci.bencher import bencher_json
from harness.report.ci.junit import junit_xml
from harness.report.ci.openmetrics import openmetrics_text
from harness.report.ci.summary import gate_markdown
from harness.report.gate import gate_text
from harness.report.gate_advice import Advice, advice
from harness.report.gate_words import headline, quality_word, why
from harness.spec.backend import Precision
from harness.stats.estimate import Estimate

#: What ends lines, XML, table cells, code spans, workflow commands and labels; colour; invalid characters.
HOSTILE = 'a\n::error::b ]]></failure><b>&amp;|c|`d`, e: 100% "f" \\g #h {i="j"} \x1b[31mred\x1b[0m\x00\ud800'
SHOWN = 'a ::error::b ]]></failure><b>&amp;|c|`d`, e: 100% "f" \\g #h {i="j"} red'


def hostile_gate():
    quality = QualityResult(verdict="FAIL", reasons=[reasons.Recorded(text=HOSTILE)], worst=float("inf"))
    benchmark = made_benchmark(
        HOSTILE, step=1.2, confirmed=8, verdicts={"step": "FAIL"}, quality=quality,
        reasons=[reasons.NotComparable(message=HOSTILE)],
        mode=HOSTILE, task=HOSTILE, options={HOSTILE: HOSTILE},
    )  # fmt: skip
    gate = made_gate(benchmark, suite=HOSTILE)
    python = msgspec.structs.replace(gate.head, python=HOSTILE, commit=None)
    return msgspec.structs.replace(gate, head=python)


def interrupted_gate():
    return made_gate(made_benchmark(), verdict="INVALID", status="interrupted", failure="interrupted")


def invalid_benchmark(name="cnn", metric="step", **changes):
    """A benchmark with a metric that lost all its pairs to other work."""
    benchmark = made_benchmark(name, verdicts={metric: "INVALID"}, **changes)
    lost = {"ratio": None, "pairs": 0, "reasons": [reasons.PairsLost(lost=4, pairs=4)]}
    benchmark.metrics = [
        msgspec.structs.replace(one, **lost) if one.metric == metric else one for one in benchmark.metrics
    ]
    return benchmark


# JUnit


class Report:
    """What GitLab and Jenkins take from a JUnit file: of each case its name and status, and the counts."""

    def __init__(self, content):
        self.root = ET.fromstring(content)  # noqa: S314  our own
        assert self.root.tag == "testsuites"
        (self.suite,) = self.root.findall("testsuite")
        self.cases = {
            (case.get("classname"), case.get("name")): case for case in self.suite.findall("testcase")
        }
        assert len(self.cases) == len(self.suite.findall("testcase")), "cases of one name hide each other"

    def status(self, name, metric):
        (*found,) = [child.tag for child in self.cases["gate." + name, metric] if child.tag != "properties"]
        return found[0] if found else "passed"

    def failure(self, name, metric):
        return self.cases["gate." + name, metric].find("failure")


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
        r"step \+\d\.\d % \[\d\.\d, \d\.\d\], limit 5 % \(8 pairs, p = 0\.0039\): "
        "head is proven worse than base"
    )
    assert re.fullmatch(message, failure.get("message"))  # Jenkins
    assert re.match(message, failure.text)  # GitLab
    assert "harness duel torch:compile torch:compile" in failure.text


def test_junit_has_the_numbers_as_properties():
    record = mixed_gate()
    case = Report(junit_xml(record)).cases["gate.rnn-compiled", "step"]
    numbers = {one.get("name"): one.get("value") for one in case.findall("properties/property")}
    result = record.benchmarks[1].metrics[0]
    assert float(numbers["ratio"]) == result.ratio.value
    assert float(numbers["head"]) == result.head
    assert (numbers["stage"], numbers["pairs"]) == ("confirmation", "8")


def test_a_gate_that_was_killed_is_shown_as_unfinished():
    text = gate_text(made_gate(made_benchmark(), verdict="INVALID", status="running"), 100)
    assert text.startswith("INVALID: the gate did not end")


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


# Markdown


def test_markdown_has_the_verdict_the_table_and_the_advice():
    text = gate_markdown(mixed_gate())
    first, *rest = text.splitlines()
    assert first.startswith("## ❌ FAIL: 3 of 5 failed (rnn-compiled, gan, forecast), 1 of 5 inconclusive")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in rest if line.startswith("|")]
    assert rows[0] == [
        "benchmark",
        "verdict",
        "step (≤ 5 %)",
        "first step (≤ 50 %)",
        "memory (≤ 10 %)",
        "quality",
    ]
    cells = {row[0]: row[1:] for row in rows[2:]}
    assert {name: row[0].split()[-1] for name, row in cells.items()} == {
        "cnn": "PASS",
        "rnn-compiled": "FAIL",
        "mlp": "INCONCLUSIVE",
        "gan": "FAIL",
        "forecast": "FAIL",
    }
    assert re.fullmatch(r"\+7\.\d % \\\[\d\.\d, \d\.\d\\\] FAIL", cells["rnn-compiled"][1])
    assert cells["forecast"][1:] == ["–"] * 4
    assert cells["gan"][4] == "different"
    assert "head/bin/python -m harness duel torch:compile torch:compile --task cnn" in text
    assert text.count("<details>") == text.count("</details>") == 2


def test_markdown_escapes_any_text():
    text = gate_markdown(hostile_gate())
    assert "\x1b" not in text
    code = re.compile(r"(?<!\\)`[^`]+`")
    assert "<b>" not in code.sub("", text)
    assert "``" not in text  # would begin another kind of code
    assert code.sub("", text).count("<") == 8  # two details and their summaries
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}


# GitHub


def test_the_step_summary_is_appended_to(tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    github.add_to_step_summary(mixed_gate(), {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.read_text() == "before\n" + gate_markdown(mixed_gate())
    github.add_to_step_summary(mixed_gate(), {})


def test_an_output_that_cannot_be_written_leaves_the_others_and_the_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    written, unwritable = tmp_path / "gate.xml", tmp_path / "nowhere" / "gate.xml"
    options = {"targets": [unwritable, written], "inconclusive": None, "form": "table"}
    with pytest.raises(HarnessError, match=r"cannot write .*nowhere/gate.xml: No such file"):
        gate_outputs.deliver(mixed_gate(), tmp_path / "record.json", options)
    assert written.exists()
    out, err = capsys.readouterr()
    assert "cannot write GITHUB_STEP_SUMMARY: No such file" in err
    assert "FAIL" in out


@pytest.mark.parametrize(("fault", "message"), [(errno.EPIPE, ""), (errno.ENOSPC, "cannot write the output")])
def test_a_closed_standard_output_leaves_the_verdict(tmp_path, monkeypatch, capsys, fault, message):
    def broken(*_):
        raise OSError(fault, "broken")

    discarded = []
    monkeypatch.setattr(gate_outputs, "_print", broken)
    monkeypatch.setattr(gate_outputs, "discard", discarded.append)
    options = {"targets": [], "inconclusive": None, "form": "table"}
    gate_outputs.deliver(mixed_gate(), tmp_path / "record.json", options)
    assert discarded
    printed = capsys.readouterr().err
    assert message in printed
    assert bool(message) == bool(printed)


def test_removed_benchmarks_that_would_go_unnoticed_are_mentioned():
    gate = made_gate(made_benchmark("cnn"), unwatched="base's suite is not known")
    caution = "A benchmark that was removed would go unnoticed: base's suite is not known."
    assert caution in " ".join(gate_text(gate).split())
    assert "would go unnoticed" in gate_markdown(gate)


COMMAND = re.compile(r"::(?P<kind>error|warning) title=(?P<title>[^:,\n\r]*)::(?P<message>[^\n\r]*)")


def shown(gate):
    return " ".join(gate_text(gate).split())


def test_base_and_head_that_are_the_same_are_mentioned():
    def text(**changes):
        return shown(made_gate(made_benchmark("cnn"), **changes))

    same = "Base and head are the same, so every difference is chance."
    assert same in text(base=HEAD)
    assert same in text(base=msgspec.structs.replace(BASE, commit=None, python=HEAD.python))
    other = msgspec.structs.replace(BASE, python=HEAD.python, commit=None, variables={"A": "1"})
    assert "Base and head" not in text(base=other)
    assert "Base and head" not in text()


def test_different_versions_are_mentioned():
    benchmark = made_benchmark("cnn")
    older, newer = benchmark.configurations
    older = msgspec.structs.replace(older, framework={"engine": "torch", "torch": "2.8.0"})
    versions = "Base and head have different versions: torch 2.8.0 in base, 2.9.0 in head."
    assert versions in shown(made_gate(msgspec.structs.replace(benchmark, configurations=[older, newer])))
    quality = QualityResult(verdict="FAIL", frameworks=[older.framework, newer.framework])
    untimed = made_benchmark("cnn", configurations=[], metrics=[], verdict="FAIL", quality=quality)
    assert versions in shown(made_gate(untimed))


def test_cautions_of_a_benchmark_are_mentioned():
    quality = QualityResult(verdict="PASS", reasons=[reasons.MemoryRanOut(precisions=["float64"])])
    gate = made_gate(made_benchmark("cnn", quality=quality))
    assert "cnn: memory ran out in float64, so losses in it were not compared." in shown(gate)
    benchmark = made_benchmark("cnn")
    replaced = msgspec.structs.replace(benchmark.dataset, stands_in_for="cifar10", reason="no internet")
    gate = made_gate(msgspec.structs.replace(benchmark, dataset=replaced))
    assert "digits stands in for cifar10: no internet." in shown(gate)
    base, head = benchmark.configurations
    wider = [base, msgspec.structs.replace(head, batch_size=128)]
    gate = made_gate(msgspec.structs.replace(benchmark, configurations=wider))
    sizes = "cnn: the batch size is 64 in base and 128 in head, so the change is of the time per sample."
    assert sizes in shown(gate)
    assert "batch size" not in shown(made_gate(benchmark))


def test_cautions_of_an_environment_are_mentioned():
    shared = "PYTHONPATH=src applies to base and head: its code is the same for both"
    base = msgspec.structs.replace(BASE, cautions=[shared])
    assert f"{shared}." in shown(made_gate(made_benchmark("cnn"), base=base))


def failed_quality(*causes):
    quality = QualityResult(verdict="FAIL", reasons=list(causes), worst=0.0)
    return made_benchmark("cnn", verdict="FAIL", quality=quality)


@pytest.mark.parametrize(
    "reason", [reasons.TaskChanged(fields=["epochs"]), reasons.OtherData(base="a" * 64, head="b" * 64)]
)
def test_no_check_is_advised_for_another_task_or_other_data(reason):
    benchmark = failed_quality(reason)
    text, command = advice(made_gate(benchmark), benchmark)
    assert text.startswith("If this is intended")
    assert command == ""


def undecided(**changes):
    """A gate with one metric that is undecided."""
    benchmark = made_benchmark("mlp", memory=1.1, confirmed=8, verdicts={"memory": "INCONCLUSIVE"})
    return made_gate(made_benchmark("cnn"), msgspec.structs.replace(benchmark, **changes))


@pytest.mark.parametrize(
    ("threads", "device", "advised"), [(2, "cpu", True), (1, "cpu", False), (2, "cuda:0", False)]
)
def test_one_thread_is_advised_where_threads_may_have_waited_for_each_other(threads, device, advised):
    benchmark = undecided(threads=threads).benchmarks[1]
    configurations = [msgspec.structs.replace(one, device=device) for one in benchmark.configurations]
    benchmark = msgspec.structs.replace(benchmark, configurations=configurations)
    assert ("threads = 1" in advice(made_gate(benchmark), benchmark).text) == advised


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


def commands(record, inconclusive=None):
    """The commands as the runner parses them (actions/runner, ActionCommand): unescaped, one per line."""
    read = []
    for line in github.annotations(record, inconclusive):
        found = COMMAND.fullmatch(line)
        assert found, line
        assert not re.search("%(?!25|3A|2C|0A|0D)", line), "the runner would decode it differently"
        title, message = (
            found[part].replace("%3A", ":").replace("%2C", ",").replace("%0A", "\n").replace("%25", "%")
            for part in ("title", "message")
        )
        read.append((found["kind"], title, message))
    return read


@pytest.mark.parametrize(
    ("inconclusive", "kind"), [(None, "warning"), ("pass", "warning"), ("fail", "error")]
)
def test_annotations_of_benchmarks_that_did_not_pass(inconclusive, kind):
    read = commands(mixed_gate(), inconclusive)
    assert [(one, title) for one, title, _ in read] == [
        ("error", "FAIL: rnn-compiled"),
        ("error", "FAIL: gan"),
        ("error", "FAIL: forecast"),
        (kind, "INCONCLUSIVE: mlp"),
    ]
    assert "limit 5 %" in read[0][2]
    assert "raise max_slowdown" in read[0][2]


def test_annotations_of_gates_whose_benchmarks_all_passed():
    assert commands(made_gate(made_benchmark())) == []
    ((kind, title, message),) = commands(made_gate())
    assert (kind, title) == ("error", "INVALID: harness gate")
    assert "no benchmark ran" in message
    ((kind, _, message),) = commands(interrupted_gate())
    assert kind == "error"
    assert "interrupted" in message


def test_annotations_escape_any_text():
    ((kind, title, message),) = commands(hostile_gate())
    assert (kind, title) == ("error", f"FAIL: {SHOWN}")
    assert SHOWN in message


def test_annotations_are_printed_on_runners_only():
    assert github.annotates({"GITHUB_ACTIONS": "true"})
    assert not github.annotates({})


# OpenMetrics

SAMPLE = re.compile(r'(?P<name>[a-z_]+)\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (?P<value>\S+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\[\\"n])*)"')


def families(text):
    """Families by name with their samples, by the rules of OpenMetrics 1.0, sections 3 and 4."""
    assert text.endswith("# EOF\n")
    read, name = {}, None
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert kind == "gauge"
            assert name not in read, "samples of a family are contiguous"
            read[name] = {}
        elif line.startswith("# UNIT "):
            assert line.split()[2] == name
            assert name.endswith("_" + line.split()[3])
        elif line.startswith("# HELP "):
            assert line.split()[2] == name
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found["name"] == name
            labels = tuple(sorted(LABEL.findall(found["labels"])))
            assert labels not in read[name], "a sample occurs twice"
            read[name][labels] = float(found["value"])
    return read


def labelled(**labels):
    return tuple(sorted(labels.items()))


def test_openmetrics_has_medians_ratios_and_verdicts():
    record = mixed_gate()
    read = families(openmetrics_text(record))
    result = record.benchmarks[1].metrics[0]
    seconds = read["harness_gate_step_seconds"]
    assert seconds[labelled(benchmark="rnn-compiled", environment="head")] == result.head
    assert len(seconds) == len(read["harness_gate_memory_bytes"]) == 2 * 4
    bounds = {
        bound: read["harness_gate_ratio"][labelled(benchmark="rnn-compiled", metric="step", bound=bound)]
        for bound in ("mean", "low", "high", "limit")
    }
    ratio = result.ratio
    assert bounds == {"mean": ratio.value, "low": ratio.low, "high": ratio.high, "limit": 1.05}
    passed = {dict(labels)["benchmark"]: value for labels, value in read["harness_gate_passed"].items()}
    assert passed == {"cnn": 1, "rnn-compiled": 0, "mlp": 0, "gan": 0, "forecast": 0}


def test_openmetrics_escapes_any_text():
    read = families(openmetrics_text(hostile_gate()))
    ((labels, value),) = read["harness_gate_passed"].items()
    name = dict(labels)["benchmark"].replace(r"\"", '"').replace(r"\\", "\\")
    assert (name, value) == (SHOWN.replace("#", "_"), 0)


@pytest.mark.parametrize("made", [mixed_gate, hostile_gate, made_gate])
def test_the_reference_parser_reads_openmetrics(made):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    read = {one.name: one for one in parser.text_string_to_metric_families(openmetrics_text(made()))}
    assert read["harness_gate_step_seconds"].unit == "seconds"
    assert len(read) == 5


# Bencher


def test_bencher_has_a_measure_for_each_metric():
    record = mixed_gate()
    document = json.loads(bencher_json(record))
    assert list(document) == [one.name for one in record.benchmarks]
    result = record.benchmarks[1].metrics[0]
    assert document["rnn-compiled"]["step-ratio"] == {
        "value": result.ratio.value,
        "lower_value": result.ratio.low,
        "upper_value": result.ratio.high,
    }
    assert document["rnn-compiled"]["step-seconds"] == {"value": result.head}
    assert set(document["cnn"]["step-ratio"]) == {"value"}  # too few pairs for an interval
    assert set(document["cnn"]) == {
        f"{metric}-{what}"
        for metric, unit in (("step", "seconds"), ("first-step", "seconds"), ("memory", "bytes"))
        for what in ("ratio", unit)
    }
    assert document["forecast"] == {}


# Words and files


def test_reasons_stand_with_their_figures():
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    figures = r"step \+\d\.\d % \[.*\], limit 5 % \(8 pairs.*\): head is proven worse than base"
    assert re.fullmatch(figures, why(benchmark))
    benchmark.reasons = [reasons.Failed(label="head", message="crashed")]
    assert re.fullmatch(f"head failed: crashed; {figures}", why(benchmark))


def test_every_kind_of_reason_has_a_text_and_advice():
    """A made-up reason of each kind, as a benchmark's only one."""
    values = {
        str: "text", int: 3, float: 0.5, bool: False, float | None: None, Literal["base", "head"]: "head",
        Precision: "float32", list[Precision]: ["float32"], list[str]: ["epochs"],
        dict[str, tuple[Value, Value]]: {"width": (1, 2)},
        Estimate: Estimate(0.02, 0.01, 0.03, 5),
    }  # fmt: skip
    kinds = [kind for group in get_args(reasons.Reason) for kind in get_args(group) or [group]]
    assert len(kinds) > 30
    for kind in kinds:
        reason = kind(**{field.name: values[field.type] for field in msgspec.structs.fields(kind)})
        benchmark = made_benchmark(verdict="FAIL", metrics=[], quality=None, reasons=[reason])
        assert re.fullmatch(r"[^\n]*[^\n.]", why(benchmark))
        assert advice(made_gate(benchmark), benchmark).text.endswith((".", ":"))


def test_a_metric_without_usable_pairs_has_no_figure_and_breaks_no_format():
    record = made_gate(invalid_benchmark())
    assert "–" in gate_text(record, 120)
    assert "disturbed 4 of 4 pairs" in gate_text(record, 120)
    assert Report(junit_xml(record)).status("cnn", "step") == "error"
    measures = json.loads(bencher_json(record))["cnn"]
    assert ("step-ratio" in measures, "memory-ratio" in measures) == (False, True)
    assert all("value" in one for one in measures.values())  # the format requires it
    families(openmetrics_text(record))
    assert "disturbed 4 of 4 pairs" in gate_markdown(record)


SEEDS = [SeedScores(seed=0, base=0.5, head=0.4, base_steps_to_target=1, head_steps_to_target=1)]


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        (None, "–"),
        (QualityResult(verdict="PASS", worst=0.0), "same"),
        (QualityResult(verdict="PASS", seeds=SEEDS), "no worse"),
        (QualityResult(verdict="FAIL", worst=0.1), "different"),
        (QualityResult(verdict="FAIL", seeds=SEEDS), "worse"),
        (QualityResult(verdict="INCONCLUSIVE", seeds=SEEDS), "undecided"),
        (QualityResult(verdict="INVALID", seeds=SEEDS), "not comparable"),
    ],
)
def test_quality_is_called_worse_only_where_both_were_trained(quality, word):
    assert quality_word(made_benchmark(quality=quality)) == word


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
    targets.known_target(tmp_path / name)
    targets.write_gate(mixed_gate(), tmp_path / name)
    assert (tmp_path / name).read_text("utf-8").startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["gate.pdf", "gate", "nowhere/junit.xml"])
def test_targets_that_cannot_be_written_are_refused_before_the_gate(tmp_path, name):
    with pytest.raises(UsageError, match="--to"):
        targets.known_target(tmp_path / name)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_table_fits_the_terminal(width):
    for record in (mixed_gate(), hostile_gate()):
        text = gate_text(record, width)
        assert "\x1b" not in text
        table = text.split("\n\n")[1]
        assert max(map(len, table.splitlines())) <= max(width, 100)


#: The suite asks for neither the batch size of a full-batch task nor the device that ``auto`` resolved to.
ASKED = Benchmark(
    name="cnn", backend="torch", task="cnn", batch_size=32, device="cpu", seed=3, options={"dropout": 0.5}
)


def crashed(label="head", **changes):
    verdict = "FAIL" if label == "head" else "INVALID"
    reason = reasons.Failed(label=label, message="exited with code 9")
    return made_benchmark(verdict=verdict, metrics=[], quality=None, reasons=[reason], **changes)


def test_the_advised_duel_has_the_conditions_of_the_gate(tmp_path):
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"}, asked=ASKED)
    linked = tmp_path / "python"
    linked.symlink_to(sys.executable)
    base = msgspec.structs.replace(BASE, python=sys.executable)
    head = msgspec.structs.replace(HEAD, python=str(linked), variables={"NAME": "a b"})
    text, command = advice(made_gate(benchmark, base=base, head=head), benchmark)
    assert text == "If the cost is intended, raise max_slowdown. To measure the benchmark again:"
    python, _, harness, name, *arguments = shlex.split(command)
    assert (python, harness, name) == (str(linked), "harness", "duel")
    given = cli.get_command(None, name).make_context(name, arguments).params
    expected = {
        "names": ("torch:eager", "torch:eager"),
        "task": "cnn",
        "dataset": "digits",
        "threads": 2,
        "batch_size": 32,
        "precision": "float32",
        "device": "cpu",
        "seed": 3,
        "assignments": ("dropout=0.5",),  # not width, which is a default
        "a_python": sys.executable,
        "b_python": str(linked),
        "b_env": {"NAME": "a b"},
    }
    assert given == {**given, **expected}


def test_a_crashed_head_is_advised_to_run_alone_as_the_gate_ran_it():
    benchmark = crashed(asked=ASKED, configurations=[])
    head = msgspec.structs.replace(HEAD, variables={"CRASHES": "a b"})
    alone = "-m harness run --backend torch:eager --task cnn"
    options = "--dataset digits --threads 2 --precision float32 --batch-size 32 --device cpu --seed 3"
    command = f"env 'CRASHES=a b' {HEAD.python} {alone} {options} --set dropout=0.5"
    assert advice(made_gate(benchmark, head=head), benchmark) == Advice("To run head alone:", command)


def test_a_crashed_base_is_advised_to_run_alone():
    text, command = advice(made_gate(crashed("base")), crashed("base"))
    assert text == "To run base alone:"
    assert command.startswith(f"{BASE.python} -m harness run --backend torch:eager --task cnn")


@pytest.mark.parametrize("given", [["--plugin", "my plugin.py"], ["--plugin=my plugin.py"]])
def test_advised_commands_have_the_plugin_files_of_the_gate(given):
    slower = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    for benchmark in (slower, crashed(), failed_quality(OTHER_LOSS)):
        record = made_gate(benchmark, command=["gate", "--base", "main", *given])
        assert advice(record, benchmark).command.endswith("--plugin 'my plugin.py'")
        assert "--plugin" not in advice(made_gate(benchmark), benchmark).command


def test_more_seeds_are_advised_where_they_were_too_few():
    lost = reasons.ScoreLost(measure="accuracy", lost=Estimate(0.01, -0.01, 0.03, 5), limit=0.01)
    quality = QualityResult(verdict="INCONCLUSIVE", reasons=[lost], worst=0.0)
    benchmark = made_benchmark("cnn", verdict="INCONCLUSIVE", quality=quality)
    assert "more seeds for this benchmark" in advice(made_gate(benchmark), benchmark).text
    assert "accuracy lost 1.00 [−1.00, 3.00] %, limit 1 % (5 seeds)" in why(benchmark)


def test_the_headline_counts_each_verdict():
    assert headline(made_gate(made_benchmark())) == "the benchmark is within its limits"
    record = mixed_gate()
    record.benchmarks.append(invalid_benchmark("noisy"))
    counts = "3 of 6 failed (rnn-compiled, gan, forecast), 1 of 6 invalid (noisy), 1 of 6 inconclusive (mlp)"
    assert headline(record) == counts
