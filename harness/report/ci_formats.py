"""A gate in the formats that CI systems read: JUnit, annotations, OpenMetrics, Bencher."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import msgspec

from harness.errors import UsageError
from harness.gate.record import (
    BenchmarkRecord,
    GateRecord,
    Inconclusive,
    Judged,
    Metric,
    MetricResult,
    Verdict,
    forgiven,
)
from harness.machine.files import prove_writable, replace_file
from harness.report.escaping import (
    for_github_message,
    for_github_property,
    for_openmetrics_label,
    one_line,
)
from harness.report.files import require_folder
from harness.report.gate import (
    circumstances,
    gate_document,
    headline,
    metric_text,
    not_passed,
    quality_text,
    why,
)
from harness.report.gate_advice import advice
from harness.report.render.markdown import markdown

# A gate in the Bencher Metric Format, which Bencher and similar tools read: benchmark, measure, value.

_UNITS: dict[Metric, str] = {"step": "seconds", "first step": "seconds", "memory": "bytes"}


def bencher_json(record: GateRecord) -> bytes:
    """For each benchmark the ratios with their intervals, and head's medians in seconds and bytes."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark in record.benchmarks:
        measures = document.setdefault(benchmark.name, {})
        for result in benchmark.metrics:
            slug = result.metric.replace(" ", "-")
            if result.ratio is not None:  # the format demands a value
                ratio = result.ratio
                bounds = {"value": ratio.value, "lower_value": ratio.low, "upper_value": ratio.high}
                measures[f"{slug}-ratio"] = {
                    name: value for name, value in bounds.items() if value is not None
                }
            measures[f"{slug}-{_UNITS[result.metric]}"] = {"value": result.head}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


# A gate as JUnit XML for GitLab and Jenkins: a test case for each metric of a benchmark and for its quality.
#
# FAIL is a failure and INVALID an error. INCONCLUSIVE is a failure, and skipped where ``--inconclusive pass``
# forgives it. Numbers are properties of the test case, which Jenkins keeps with ``keepProperties``. What a
# person must read is in both the message (shown by Jenkins) and the text (shown by GitLab) of a failure.

Numbers = Mapping[str, object]


class _Case(NamedTuple):
    """One test case. ``outcome`` is its element, such as ``failure``; empty where it passed."""

    classname: str
    name: str
    seconds: float
    verdict: Verdict
    outcome: str
    reason: str
    advice: str
    numbers: Numbers


def junit_xml(record: GateRecord, inconclusive: Inconclusive = None) -> bytes:
    """The document in UTF-8."""
    cases = list(_cases(record, inconclusive))
    outcomes = [case.outcome for case in cases]
    counts = {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
        "time": f"{record.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "harness gate", **counts})
    suite = ET.SubElement(
        root,
        "testsuite",
        {"name": one_line(f"harness gate {record.suite}"), "timestamp": record.started_at[:19], **counts},
    )
    _add_properties(suite, _suite_numbers(record))
    for case in cases:
        _add_case(suite, case)
    ET.indent(root)
    document: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return document + b"\n"


def _cases(record: GateRecord, inconclusive: Inconclusive) -> Iterator[_Case]:
    """At least one case for every benchmark has its verdict. A gate without results has a case that fails."""
    for benchmark in record.benchmarks:
        yield from _benchmark_cases(record, benchmark, inconclusive)
    all_passed = all(benchmark.verdict == "PASS" for benchmark in record.benchmarks)
    if not record.benchmarks or (record.verdict != "PASS" and all_passed):
        verdict: Verdict = "INVALID" if record.verdict == "PASS" else record.verdict
        outcome = _outcome(verdict, is_forgiven=verdict == "INCONCLUSIVE" and inconclusive == "pass")
        yield _Case("gate", "suite", record.seconds, verdict, outcome, headline(record), "", {})


def _benchmark_cases(
    record: GateRecord, benchmark: BenchmarkRecord, inconclusive: Inconclusive
) -> Iterator[_Case]:
    results = benchmark.results
    seconds = benchmark.seconds / max(1, len(results))

    def case(name: str, judged: Judged, reason: str, numbers: Numbers) -> _Case:
        outcome = _outcome(judged.verdict, is_forgiven=forgiven(judged, inconclusive))
        text = " ".join(advice(record, benchmark)).rstrip() if outcome else ""
        return _Case(f"gate.{benchmark.name}", name, seconds, judged.verdict, outcome, reason, text, numbers)

    for result in results:
        if isinstance(result, MetricResult):
            yield case(result.metric, result, metric_text(result), _metric_numbers(result))
        else:
            numbers = {"worst": result.worst, "measure": result.measure, "seeds": len(result.seeds)}
            yield case("quality", result, quality_text(result), numbers)
    if benchmark.reasons or all(result.verdict != benchmark.verdict for result in results):
        yield case("ran", benchmark, why(benchmark), {})


def _outcome(verdict: Verdict, *, is_forgiven: bool) -> str:
    if verdict == "PASS":
        return ""
    if verdict == "INVALID":
        return "error"
    return "skipped" if is_forgiven else "failure"


def _metric_numbers(result: MetricResult) -> Numbers:
    names = ("base", "head", "limit", "p_value", "pairs", "weight", "stage")
    numbers = {name: getattr(result, name) for name in names}
    if (ratio := result.ratio) is not None:
        numbers |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    return numbers


def _suite_numbers(record: GateRecord) -> Numbers:
    return {
        "verdict": record.verdict,
        "gate": record.id,
        "circumstances": circumstances(record),
        "base.python": record.base.python,
        "base.commit": record.base.commit,
        "head.python": record.head.python,
        "head.commit": record.head.commit,
        "machine.cpu": record.machine.cpu,
        "false_alarms": record.false_alarms,
    }


def _add_case(suite: ET.Element, case: _Case) -> None:
    attributes = {"classname": case.classname, "name": case.name, "time": f"{case.seconds:.3f}"}
    element = ET.SubElement(suite, "testcase", {name: one_line(value) for name, value in attributes.items()})
    _add_properties(element, case.numbers)
    if case.outcome:
        shown = {"type": case.verdict, "message": one_line(case.reason)}
        ET.SubElement(element, case.outcome, shown).text = one_line(f"{case.reason}. {case.advice}")


def _add_properties(parent: ET.Element, numbers: Numbers) -> None:
    """A property for each number that is known; no element where none is."""
    known = {name: value for name, value in numbers.items() if value is not None and value != ""}
    if known:
        properties = ET.SubElement(parent, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", {"name": name, "value": one_line(str(value))})


# A gate as OpenMetrics text, for GitLab's metrics report and for tools that scrape files.
#
# OpenMetrics 1.0: a family's name ends with its unit, and ``# EOF`` ends the document.

#: The labels of a value, and the value.
_Sample = tuple[dict[str, str], float]


def openmetrics_text(record: GateRecord) -> str:
    """The document: medians of base and head, ratios with their intervals and limits, verdicts."""
    lines: list[str] = []
    for metric, unit in _UNITS.items():
        name = f"harness_gate_{metric.replace(' ', '_')}_{unit}"
        lines += _family(name, unit, "Median over processes.", _medians(record, metric))
    lines += _family("harness_gate_ratio", "ratio", "Head over base with its 95 % interval.", _ratios(record))
    lines += _family("harness_gate_passed", "", "1 if the benchmark passed, else 0.", _passed(record))
    return "\n".join([*lines, "# EOF", ""])


def _family(name: str, unit: str, what: str, samples: Iterator[_Sample]) -> list[str]:
    head = [f"# TYPE {name} gauge", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {what}"]
    return head + [f"{name}{{{_labels(labels)}}} {value!r}" for labels, value in samples]


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{for_openmetrics_label(value)}"' for name, value in labels.items())


def _medians(record: GateRecord, metric: Metric) -> Iterator[_Sample]:
    for benchmark in record.benchmarks:
        for result in benchmark.metrics:
            if result.metric == metric:
                yield {"benchmark": benchmark.name, "environment": "base"}, float(result.base)
                yield {"benchmark": benchmark.name, "environment": "head"}, float(result.head)


def _ratios(record: GateRecord) -> Iterator[_Sample]:
    for benchmark in record.benchmarks:
        for result in benchmark.metrics:
            bounds: dict[str, float | None] = {"limit": 1 + result.limit}
            if (ratio := result.ratio) is not None:
                bounds |= {"mean": ratio.value, "low": ratio.low, "high": ratio.high}
            for bound, value in bounds.items():
                if value is not None:
                    labels = {"benchmark": benchmark.name, "metric": result.metric, "bound": bound}
                    yield labels, float(value)


def _passed(record: GateRecord) -> Iterator[_Sample]:
    for benchmark in record.benchmarks:
        yield {"benchmark": benchmark.name}, float(benchmark.verdict == "PASS")


# The files that a gate is written to; the suffix selects the format.

KINDS = {
    ".xml": "JUnit",
    ".md": "summary of a pull request",
    ".html": "report",
    ".txt": "OpenMetrics",
    ".json": "Bencher Metric Format",
}


def check_target(path: Path) -> None:
    """Check that a gate can be written to a path, before anything is measured.

    Raises:
        UsageError: the suffix is unknown, the folder cannot be written to, or a library is missing.
    """
    if path.suffix not in KINDS:
        kinds = ", ".join(f"{ending} ({what})" for ending, what in KINDS.items())
        raise UsageError(f"--to {path}: unknown suffix; use {kinds}")
    require_folder(path)
    try:
        prove_writable(path.parent)
    except OSError as error:
        raise UsageError(f"--to {path}: cannot write to {path.parent}: {error.strerror}") from error
    if path.suffix == ".html":
        try:
            import harness.report.render.html  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f'--to {path.name} needs the extra "report" ({error.name or error} is missing): '
                'pip install "dl-harness[report]"'
            ) from error


def write_gate(record: GateRecord, path: Path, inconclusive: Inconclusive = None) -> None:
    """Write a gate in the format of the suffix, completely or not at all.

    Raises:
        OSError: it cannot be written.
    """
    forms: dict[str, Callable[[], bytes]] = {
        ".xml": lambda: junit_xml(record, inconclusive),
        ".md": lambda: markdown(gate_document(record)).encode(),
        ".html": lambda: _page(record),
        ".txt": lambda: openmetrics_text(record).encode(),
        ".json": lambda: bencher_json(record),
    }
    replace_file(path, forms[path.suffix]())


def _page(record: GateRecord) -> bytes:
    from harness.report.render.html import html_page  # imports the charts

    return html_page(gate_document(record)).encode()


# What GitHub Actions reads in addition to files: annotations on standard output, and the job summary.


def annotations(record: GateRecord, inconclusive: Inconclusive = None) -> Iterator[str]:
    """A workflow command for each benchmark that did not pass, or for the gate itself where all passed.

    FAIL and INVALID are errors. INCONCLUSIVE is a warning, and an error where it counts as a failure.
    """
    benchmarks = not_passed(record)
    for benchmark in benchmarks:
        title = f"{benchmark.verdict}: {one_line(benchmark.name)}"
        message = f"{why(benchmark)}. {' '.join(advice(record, benchmark))}"
        yield _workflow_command(_is_error(benchmark, inconclusive), title, message.rstrip())
    if not benchmarks and record.verdict != "PASS":
        error = record.verdict != "INCONCLUSIVE" or inconclusive is not None
        yield _workflow_command(error, f"{record.verdict}: harness gate", headline(record))


def _is_error(judged: Judged, inconclusive: Inconclusive) -> bool:
    if judged.verdict == "INCONCLUSIVE" and inconclusive is None:
        return False
    return not forgiven(judged, inconclusive)


def _workflow_command(error: bool, title: str, message: str) -> str:
    kind = "error" if error else "warning"
    return f"::{kind} title={for_github_property(title)}::{for_github_message(message)}"


def add_to_step_summary(record: GateRecord, environment: Mapping[str, str]) -> None:
    """Append the Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, if it is set.

    Raises:
        OSError: it cannot be written.
    """
    name = environment.get("GITHUB_STEP_SUMMARY")
    if name:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(markdown(gate_document(record)))


def annotates(environment: Mapping[str, str]) -> bool:
    """Whether a runner reads this process's output for workflow commands."""
    return environment.get("GITHUB_ACTIONS") == "true"
