"""A gate in the forms of CI systems, read back as those systems read them."""

import errno
import json
import re
import shlex
from xml.etree import ElementTree as ET

import msgspec
import pytest
from support.made_gates import BASE, HEAD, made_benchmark, made_gate, mixed_gate

from harness.cli import cli, gate_outputs
from harness.errors import HarnessError, UsageError
from harness.gate.folding import folded
from harness.gate.record import OTHER_DATA, OTHER_TASK, QualityResult, SeedScores
from harness.gate.suite import Benchmark
from harness.report.ci import github, targets
from harness.report.ci.bencher import bencher_json
from harness.report.ci.junit import junit_xml
from harness.report.ci.openmetrics import openmetrics_text
from harness.report.ci.summary import gate_markdown
from harness.report.gate import gate_text
from harness.report.gate_advice import what_next
from harness.report.gate_words import quality_word, why

#: Ends of lines, of XML, of a table's cell, of code, of a workflow command, of a label; colour; no character.
HOSTILE = 'a\n::error::b ]]></failure><b>&amp;|c|`d`, e: 100% "f" \\g #h {i="j"} \x1b[31mred\x1b[0m\x00\ud800'
SHOWN = 'a ::error::b ]]></failure><b>&amp;|c|`d`, e: 100% "f" \\g #h {i="j"} red'


def hostile_gate():
    quality = QualityResult(verdict="FAIL", reason=HOSTILE, worst=float("inf"))
    benchmark = made_benchmark(
        HOSTILE, step=1.2, confirmed=8, verdicts={"step": "FAIL"}, reason=HOSTILE, quality=quality,
        mode=HOSTILE, task=HOSTILE, options={HOSTILE: HOSTILE},
    )  # fmt: skip
    gate = made_gate(benchmark, suite=HOSTILE)
    python = msgspec.structs.replace(gate.head, python=HOSTILE, commit=None)
    return msgspec.structs.replace(gate, head=python)


def interrupted_gate():
    return made_gate(made_benchmark(), verdict="INCONCLUSIVE", status="interrupted", failure="interrupted")


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
    report = Report(junit_xml(mixed_gate(), inconclusive))
    assert len(report.cases) == 4 * 4 + 1
    for element in (report.root, report.suite):
        counts = {key: element.get(key) for key in ("tests", "failures", "errors", "skipped")}
        told = {"tests": 17, "failures": failures, "errors": 0, "skipped": skipped}
        assert counts == {key: str(count) for key, count in told.items()}
        assert float(element.get("time")) == 300
    assert len(report.suite.findall("testcase/failure")) == failures
    assert len(report.suite.findall("testcase/skipped")) == skipped
    assert report.status("rnn-compiled", "step") == "failure"
    assert report.status("rnn-compiled", "memory") == "passed"
    assert report.status("mlp", "memory") == status
    assert report.status("gan", "quality") == "failure"
    assert report.status("forecast", "ran") == "failure"
    assert {report.status("cnn", metric) for metric in ("step", "first step", "memory", "quality")} == {
        "passed"
    }


def test_junit_tells_why_and_what_next_where_each_system_looks():
    failure = Report(junit_xml(mixed_gate())).failure("rnn-compiled", "step")
    assert failure.get("type") == "FAIL"
    told = r"step \+\d\.\d % \[\d\.\d, \d\.\d\], limit 5 % \(8 pairs, p = 0\.0039\)"
    assert re.fullmatch(told, failure.get("message"))  # Jenkins
    assert re.match(told, failure.text)  # GitLab
    assert "harness duel torch:compile torch:compile" in failure.text


def test_junit_has_the_numbers_as_properties():
    record = mixed_gate()
    case = Report(junit_xml(record)).cases["gate.rnn-compiled", "step"]
    numbers = {one.get("name"): one.get("value") for one in case.findall("properties/property")}
    result = record.benchmarks[1].metrics[0]
    assert float(numbers["ratio"]) == result.ratio
    assert float(numbers["head"]) == result.head
    assert (numbers["stage"], numbers["pairs"]) == ("confirmation", "8")


def test_one_that_was_killed_is_not_told_as_one_that_ended():
    text = gate_text(made_gate(made_benchmark(), verdict="INCONCLUSIVE", status="running"), 100)
    assert text.startswith("INCONCLUSIVE: the gate did not end")


@pytest.mark.parametrize("record", [made_gate(), interrupted_gate()])
def test_junit_of_a_gate_that_measured_nothing_or_not_all_is_not_green(record):
    assert Report(junit_xml(record)).root.get("failures") == "1"


def test_junit_has_the_failure_of_a_head_that_fell_while_it_was_suspicious():
    fallen = made_benchmark(
        verdicts={"step": "INCONCLUSIVE"}, verdict="FAIL", reason="side head: the worker was ended by SIGSEGV"
    )
    report = Report(junit_xml(made_gate(fallen), "pass"))
    assert report.root.get("failures") == "1"
    assert "SIGSEGV" in report.failure("cnn", "ran").get("message")


def test_junit_of_a_passed_gate_is_green():
    report = Report(junit_xml(made_gate(made_benchmark())))
    assert (report.root.get("tests"), report.root.get("failures")) == ("4", "0")


def test_junit_holds_any_text():
    content = junit_xml(hostile_gate())
    report = Report(content)
    assert ("gate." + SHOWN, "step") in report.cases
    assert report.status(SHOWN, "step") == "failure"
    assert SHOWN in report.failure(SHOWN, "quality").text
    assert content.startswith(b"<?xml version='1.0' encoding='utf-8'?>")


# Markdown


def test_markdown_tells_the_verdict_the_table_and_what_to_do():
    text = gate_markdown(mixed_gate())
    first, *rest = text.splitlines()
    assert first.startswith("## ❌ FAIL: 3 of 5 failed (rnn-compiled, gan, forecast), 1 of 5 inconclusive")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in rest if line.startswith("|")]
    assert rows[0] == ["benchmark", "verdict", "step (≤ 5 %)", "first step (≤ 50 %)", "memory (≤ 10 %)", "quality"]
    cells = {row[0]: row[1:] for row in rows[2:]}
    assert {name: row[0].split()[-1] for name, row in cells.items()} == {
        "cnn": "PASS",
        "rnn-compiled": "FAIL",
        "mlp": "INCONCLUSIVE",
        "gan": "FAIL",
        "forecast": "FAIL",
    }
    assert re.fullmatch(r"\+7\.\d\s% \\\[\d\.\d,\s\d\.\d\\\] FAIL", cells["rnn-compiled"][1])
    assert cells["forecast"][1:] == ["–"] * 4
    assert cells["gan"][4] == "other maths"
    assert "head/bin/python -m harness duel torch:compile torch:compile --task cnn" in text
    assert text.count("<details>") == text.count("</details>") == 2


def test_markdown_leaves_hostile_text_as_it_is():
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


def test_the_summary_of_a_step_is_added_to(tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    github.add_to_step_summary(mixed_gate(), {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.read_text() == "before\n" + gate_markdown(mixed_gate())
    github.add_to_step_summary(mixed_gate(), {})


def test_what_cannot_be_written_costs_no_other_output_and_not_the_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    written, unwritable = tmp_path / "gate.xml", tmp_path / "nowhere" / "gate.xml"
    options = {"targets": [unwritable, written], "inconclusive": None, "form": "table"}
    with pytest.raises(HarnessError, match=r"nowhere/gate.xml cannot be written: No such file"):
        gate_outputs.deliver(mixed_gate(), tmp_path / "record.json", options)
    assert written.exists()
    out, err = capsys.readouterr()
    assert "harness: GITHUB_STEP_SUMMARY cannot be written: No such file" in err
    assert "FAIL" in out


@pytest.mark.parametrize(("fault", "told"), [(errno.EPIPE, ""), (errno.ENOSPC, "output cannot be written")])
def test_an_output_that_broke_leaves_the_verdict(tmp_path, monkeypatch, capsys, fault, told):
    def broken(*_):
        raise OSError(fault, "broken")

    forgotten = []
    monkeypatch.setattr(gate_outputs, "_print", broken)
    monkeypatch.setattr(gate_outputs, "forget", forgotten.append)
    options = {"targets": [], "inconclusive": None, "form": "table"}
    gate_outputs.deliver(mixed_gate(), tmp_path / "record.json", options)
    assert forgotten
    said = capsys.readouterr().err
    assert told in said
    assert bool(told) == bool(said)


def test_that_nothing_tells_of_vanished_benchmarks_is_told():
    gate = made_gate(made_benchmark("cnn"), unwatched="base's suite is not known")
    told = "Nothing tells whether a benchmark has vanished: base's suite is not known."
    assert told in " ".join(gate_text(gate).split())
    assert "whether a benchmark has vanished" in gate_markdown(gate)


COMMAND = re.compile(r"::(?P<kind>error|warning) title=(?P<title>[^:,\n\r]*)::(?P<message>[^\n\r]*)")


def test_what_a_reader_must_know_of_base_and_head_is_told():
    def told(**changes):
        return " ".join(gate_text(made_gate(made_benchmark("cnn"), **changes)).split())

    assert "Base and head" not in told()
    same = "Base and head are the same: nothing but chance can tell them apart."
    assert same in told(base=HEAD)
    assert same in told(base=msgspec.structs.replace(BASE, commit=None, python=HEAD.python))
    other = msgspec.structs.replace(BASE, python=HEAD.python, commit=None, variables={"A": "1"})
    assert "Base and head" not in told(base=other)
    benchmark = made_benchmark("cnn")
    older, newer = benchmark.sides
    older = msgspec.structs.replace(older, framework={"engine": "torch", "torch": "2.8.0"})
    gate = made_gate(msgspec.structs.replace(benchmark, sides=[older, newer]))
    assert "Base and head have other versions: torch 2.8.0 and 2.9.0." in " ".join(gate_text(gate).split())
    frameworks = [older.framework, newer.framework]
    quality = QualityResult(verdict="FAIL", reason="head does other maths", frameworks=frameworks)
    gate = made_gate(made_benchmark("cnn", sides=[], metrics=[], verdict="FAIL", quality=quality))
    assert "Base and head have other versions: torch 2.8.0 and 2.9.0." in " ".join(gate_text(gate).split())
    quality = QualityResult(verdict="PASS", reason="memory ran out in float64, which was not compared")
    gate = made_gate(made_benchmark("cnn", quality=quality))
    assert "cnn: memory ran out in float64, which was not compared." in " ".join(gate_text(gate).split())
    replaced = msgspec.structs.replace(benchmark.dataset, stands_in_for="cifar10", reason="no internet")
    gate = made_gate(msgspec.structs.replace(benchmark, dataset=replaced))
    assert "digits stands in for cifar10: no internet." in " ".join(gate_text(gate).split())
    shared = "PYTHONPATH=src reaches both sides: its code is the same for both"
    assert f"{shared}." in told(base=msgspec.structs.replace(BASE, cautions=[shared]))
    wider = [older, msgspec.structs.replace(older, batch_size=128)]
    gate = made_gate(msgspec.structs.replace(benchmark, sides=wider))
    told_batches = (
        "a step is of 64 samples in base and of 128 in head, and the change is of the time per sample."
    )
    assert f"cnn: {told_batches}" in " ".join(gate_text(gate).split())
    assert "a step is of" not in told()


@pytest.mark.parametrize("reason", [f"{OTHER_TASK} (in epochs)", f"{OTHER_DATA}: sha256 a… b…"])
def test_another_task_or_other_data_are_no_deviation_that_a_check_could_find(reason):
    quality = QualityResult(verdict="FAIL", reason=reason, worst=0.0)
    benchmark = made_benchmark("cnn", verdict="FAIL", quality=quality)
    advice = what_next(made_gate(benchmark), benchmark)
    assert advice.startswith(
        "Where that is meant, the gate fails until base is a commit in which it is so too"
    )


def unproven(**changes):
    """A gate in which one metric could not be told."""
    benchmark = made_benchmark("mlp", memory=1.1, confirmed=8, verdicts={"memory": "INCONCLUSIVE"})
    return made_gate(made_benchmark("cnn"), msgspec.structs.replace(benchmark, **changes))


@pytest.mark.parametrize(
    ("threads", "device", "advised"), [(2, "cpu", True), (1, "cpu", False), (2, "cuda:0", False)]
)
def test_one_thread_is_advised_where_threads_may_have_waited_for_each_other(threads, device, advised):
    undecided = unproven(threads=threads).benchmarks[1]
    sides = [msgspec.structs.replace(side, device=device) for side in undecided.sides]
    undecided = msgspec.structs.replace(undecided, sides=sides)
    assert ("`threads = 1`" in what_next(made_gate(undecided), undecided)) == advised
    stored = made_gate(undecided, against="stored baseline")  # it is of as many threads
    assert "`threads = 1`" not in what_next(stored, undecided)


@pytest.mark.parametrize(
    ("record", "verdicts"),
    [
        (unproven(), {None: "INCONCLUSIVE", "pass": "PASS", "fail": "FAIL"}),
        (unproven(unsound=True), {None: "INCONCLUSIVE", "pass": "INCONCLUSIVE", "fail": "FAIL"}),
        (made_gate(verdict="INCONCLUSIVE"), {None: "INCONCLUSIVE", "pass": "INCONCLUSIVE", "fail": "FAIL"}),
        (mixed_gate(), dict.fromkeys((None, "pass", "fail"), "FAIL")),
        (made_gate(made_benchmark("cnn")), dict.fromkeys((None, "pass", "fail"), "PASS")),
    ],
    ids=["unproven", "unsound", "of nothing", "failed", "passed"],
)
def test_what_cannot_be_believed_is_never_folded_into_a_pass(record, verdicts):
    for inconclusive, verdict in verdicts.items():
        assert folded(record, inconclusive) == verdict
        failures = Report(junit_xml(record, inconclusive)).root.get("failures")
        assert (failures == "0") == (verdict == "PASS")
        errors = [kind for kind, _, _ in commands(record, inconclusive) if kind == "error"]
        assert bool(errors) == (verdict == "FAIL" or (verdict == "INCONCLUSIVE" and inconclusive == "pass"))


def commands(record, inconclusive=None):
    """As the runner reads them (actions/runner, ActionCommand): unescaped, a line each."""
    read = []
    for line in github.annotations(record, inconclusive):
        found = COMMAND.fullmatch(line)
        assert found, line
        assert not re.search("%(?!25|3A|2C|0A|0D)", line), "the runner would read it as something else"
        title, message = (
            found[part].replace("%3A", ":").replace("%2C", ",").replace("%0A", "\n").replace("%25", "%")
            for part in ("title", "message")
        )
        read.append((found["kind"], title, message))
    return read


@pytest.mark.parametrize(
    ("inconclusive", "kind"), [(None, "warning"), ("pass", "warning"), ("fail", "error")]
)
def test_annotations_for_what_did_not_pass(inconclusive, kind):
    read = commands(mixed_gate(), inconclusive)
    assert [(one, title) for one, title, _ in read] == [
        ("error", "FAIL: rnn-compiled"),
        ("error", "FAIL: gan"),
        ("error", "FAIL: forecast"),
        (kind, "INCONCLUSIVE: mlp"),
    ]
    assert "limit 5 %" in read[0][2]
    assert "raise max_slowdown" in read[0][2]


def test_annotations_of_gates_without_a_benchmark_to_blame():
    assert commands(made_gate(made_benchmark())) == []
    ((kind, title, message),) = commands(made_gate())
    assert (kind, title) == ("error", "harness gate")
    assert "nothing ran has not passed" in message
    ((kind, _, message),) = commands(interrupted_gate())
    assert kind == "warning"
    assert "interrupted" in message


def test_annotations_hold_any_text_in_their_line():
    ((kind, title, message),) = commands(hostile_gate())
    assert (kind, title) == ("error", f"FAIL: {SHOWN}")
    assert SHOWN in message


def test_annotations_are_for_runners_alone():
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
            assert name not in read, "samples of a family stand together"
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
            assert labels not in read[name], "a sample is told twice"
            read[name][labels] = float(found["value"])
    return read


def labelled(**labels):
    return tuple(sorted(labels.items()))


def test_openmetrics_has_medians_ratios_and_verdicts():
    record = mixed_gate()
    read = families(openmetrics_text(record))
    result = record.benchmarks[1].metrics[0]
    seconds = read["harness_gate_step_seconds"]
    assert seconds[labelled(benchmark="rnn-compiled", side="head")] == result.head
    assert len(seconds) == len(read["harness_gate_memory_bytes"]) == 2 * 4
    bounds = {
        bound: read["harness_gate_ratio"][labelled(benchmark="rnn-compiled", metric="step", bound=bound)]
        for bound in ("mean", "low", "high", "limit")
    }
    assert bounds == {"mean": result.ratio, "low": result.low, "high": result.high, "limit": 1.05}
    passed = {dict(labels)["benchmark"]: value for labels, value in read["harness_gate_passed"].items()}
    assert passed == {"cnn": 1, "rnn-compiled": 0, "mlp": 0, "gan": 0, "forecast": 0}


def test_openmetrics_holds_any_text_in_its_line():
    read = families(openmetrics_text(hostile_gate()))
    ((labels, value),) = read["harness_gate_passed"].items()
    told = dict(labels)["benchmark"].replace(r"\"", '"').replace(r"\\", "\\")
    assert (told, value) == (SHOWN.replace("#", "_"), 0)


@pytest.mark.parametrize("made", [mixed_gate, hostile_gate, made_gate])
def test_openmetrics_is_read_by_the_reference_parser(made):
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
        "value": result.ratio,
        "lower_value": result.low,
        "upper_value": result.high,
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


def test_a_reason_is_told_with_its_figures():
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    worse = "worse than base, and not shown to be within the limit"
    benchmark.metrics[0] = msgspec.structs.replace(benchmark.metrics[0], reason=worse)
    benchmark.reason = f"step: {worse}"
    assert re.match(
        r"step \+\d\.\d % \[.*\], limit 5 % \(8 pairs.*\): worse", why(benchmark)
    )
    benchmark.reason = "side head crashed"
    assert why(benchmark) == "side head crashed"


def test_a_metric_without_pairs_left_has_no_figure_and_breaks_nothing():
    benchmark = made_benchmark(verdicts={"step": "INCONCLUSIVE"})
    lost = {"ratio": None, "low": None, "high": None, "pairs": 0, "reason": "4 of 4 pairs were lost"}
    benchmark.metrics[0] = msgspec.structs.replace(benchmark.metrics[0], **lost)
    record = made_gate(benchmark)
    assert "–" in gate_text(record, 120)
    assert "4 of 4 pairs were lost" in gate_text(record, 120)
    assert Report(junit_xml(record)).status("cnn", "step") == "failure"
    measures = json.loads(bencher_json(record))["cnn"]
    assert ("step-ratio" in measures, "memory-ratio" in measures) == (False, True)
    assert all("value" in one for one in measures.values())  # which a reader of the format demands
    families(openmetrics_text(record))
    assert "4 of 4 pairs were lost" in gate_markdown(record)


SEEDS = [SeedScores(seed=0, base=0.5, head=0.4, base_steps_to_target=1, head_steps_to_target=1)]


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        (None, "–"),
        (QualityResult(verdict="PASS", worst=0.0), "same"),
        (QualityResult(verdict="PASS", seeds=SEEDS), "no worse"),
        (QualityResult(verdict="FAIL", worst=0.1), "other maths"),
        (QualityResult(verdict="FAIL", seeds=SEEDS), "WORSE"),
        (QualityResult(verdict="INCONCLUSIVE", seeds=SEEDS), "cannot tell"),
    ],
)
def test_quality_is_called_worse_only_where_it_was_seen(quality, word):
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
def test_the_ending_says_what_is_written(tmp_path, name, begins):
    targets.known_target(tmp_path / name)
    targets.write_gate(mixed_gate(), tmp_path / name)
    assert (tmp_path / name).read_text("utf-8").startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["gate.pdf", "gate", "nowhere/junit.xml"])
def test_what_cannot_be_written_is_known_before_anything_is_measured(tmp_path, name):
    with pytest.raises(UsageError, match="--to"):
        targets.known_target(tmp_path / name)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_terminal_is_not_overrun(width):
    for record in (mixed_gate(), hostile_gate()):
        text = gate_text(record, width)
        assert "\x1b" not in text
        table = text.split("\n\n")[1]
        assert max(map(len, table.splitlines())) <= max(width, 100)


#: A batch of all training data is not asked for by its size, and a device not by what it turned out to be.
ASKED = Benchmark(
    name="cnn", backend="torch", task="cnn", batch_size=32, device="cpu", seed=3, options={"dropout": 0.5}
)


def test_the_duel_that_is_advised_is_of_what_the_gate_tried():
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"}, asked=ASKED)
    head = msgspec.structs.replace(HEAD, variables={"NAME": "a b"})
    told = what_next(made_gate(benchmark, head=head), benchmark)
    _, command, after = told.split("`")
    assert after == " measures it again by itself; where the price is meant, raise max_slowdown."
    python, _, harness, name, *arguments = shlex.split(command)
    assert (python, harness, name) == (HEAD.python, "harness", "duel")
    given = cli.get_command(None, name).make_context(name, arguments).params
    expected = {
        "names": ("torch:eager", "torch:eager"),
        "task_name": "cnn",
        "dataset": "digits",
        "threads": 2,
        "batch_size": 32,
        "precision": "float32",
        "device": "cpu",
        "seed": 3,
        "assignments": ("dropout=0.5",),  # not width, a default, which would only make the line longer
        "a_python": BASE.python,
        "b_python": HEAD.python,
        "a_env": (),
        "b_env": ("NAME=a b",),
    }
    assert given == {**given, **expected}


def test_what_fell_is_run_by_itself_as_the_gate_ran_it():
    fell = made_benchmark(
        verdict="FAIL", metrics=[], reason="side head: exited with code 9", asked=ASKED, sides=[]
    )
    head = msgspec.structs.replace(HEAD, variables={"CRASHES": "a b"})
    told = what_next(made_gate(fell, head=head), fell)
    alone = "-m harness run --backend torch:eager --task cnn"
    options = "--dataset digits --threads 2 --precision float32 --batch-size 32 --device cpu --seed 3"
    command = f"env 'CRASHES=a b' {HEAD.python} {alone} {options} --set dropout=0.5"
    assert told == f"`{command}` shows what that side does by itself."


@pytest.mark.parametrize("given", [["--plugin", "my plugin.py"], ["--plugin=my plugin.py"]])
def test_what_is_advised_has_the_plugin_files_that_the_gate_had(given):
    slower = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    fell = made_benchmark(verdict="FAIL", metrics=[], reason="side head: exited with code 9")
    other = made_benchmark(
        verdict="FAIL", quality=QualityResult(verdict="FAIL", reason="head does other maths")
    )
    for benchmark in (slower, fell, other):
        record = made_gate(benchmark, command=["gate", "--base", "main", *given])
        assert "--plugin 'my plugin.py'`" in what_next(record, benchmark)
        assert "--plugin" not in what_next(made_gate(benchmark), benchmark)


def test_seeds_are_advised_where_they_were_too_few():
    quality = QualityResult(verdict="INCONCLUSIVE", reason="accuracy lost: +1 %", worst=0.0)
    unsure = made_benchmark("cnn", verdict="INCONCLUSIVE", quality=quality)
    assert "more `seeds` of that benchmark" in what_next(made_gate(unsure), unsure)


def test_where_base_fell_more_time_is_not_advised():
    fell = made_benchmark(verdict="INCONCLUSIVE", metrics=[], reason="side base: exited with code 9")
    told = what_next(made_gate(fell), fell)
    assert told.startswith(f"`{BASE.python} -m harness run --backend torch:eager --task cnn --dataset digits")
