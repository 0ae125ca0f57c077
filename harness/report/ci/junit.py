"""A gate as JUnit XML for GitLab and Jenkins: a test case for each metric of a benchmark and for its quality.

FAIL is a failure and INVALID an error. INCONCLUSIVE is a failure, and skipped where ``--inconclusive pass``
forgives it. Numbers are properties of the test case, which Jenkins keeps with ``keepProperties``. What a
person must read is in both the message (shown by Jenkins) and the text (shown by GitLab) of a failure.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.etree import ElementTree as ET

from harness.gate.reasons import Reason
from harness.gate.record import (
    BenchmarkRecord,
    GateRecord,
    Inconclusive,
    Judged,
    MetricResult,
    QualityResult,
    Verdict,
    forgiven,
)
from harness.report.escaping import one_line
from harness.report.gate_advice import advice
from harness.report.gate_circumstances import circumstances
from harness.report.gate_words import headline, metric_text, quality_text, why

Numbers = Mapping[str, object]


class _Suite(NamedTuple):
    """The verdict of a gate that no benchmark accounts for."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


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
        {"name": _text(f"harness gate {record.suite}"), "timestamp": record.started_at[:19], **counts},
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
        suite = _Suite("INVALID" if record.verdict == "PASS" else record.verdict)
        outcome = _outcome(suite, inconclusive)
        yield _Case("gate", "suite", record.seconds, suite.verdict, outcome, headline(record), "", {})


def _benchmark_cases(
    record: GateRecord, benchmark: BenchmarkRecord, inconclusive: Inconclusive
) -> Iterator[_Case]:
    results = benchmark.results
    seconds = benchmark.seconds / max(1, len(results))

    def case(name: str, judged: Judged, reason: str, numbers: Numbers) -> _Case:
        outcome = _outcome(judged, inconclusive)
        text = " ".join(advice(record, benchmark)).rstrip() if outcome else ""
        return _Case(f"gate.{benchmark.name}", name, seconds, judged.verdict, outcome, reason, text, numbers)

    for result in results:
        if isinstance(result, MetricResult):
            yield case(result.metric, result, metric_text(result), _metric_numbers(result))
        else:
            yield case("quality", result, quality_text(result), _quality_numbers(result))
    if benchmark.reasons or all(result.verdict != benchmark.verdict for result in results):
        yield case("ran", benchmark, why(benchmark), {})


def _outcome(judged: Judged, inconclusive: Inconclusive) -> str:
    match judged.verdict:
        case "PASS":
            return ""
        case "INVALID":
            return "error"
        case "FAIL":
            return "failure"
    return "skipped" if forgiven(judged, inconclusive) else "failure"


def _metric_numbers(result: MetricResult) -> Numbers:
    names = ("base", "head", "limit", "p_value", "pairs", "weight", "stage")
    numbers = {name: getattr(result, name) for name in names}
    if (ratio := result.ratio) is not None:
        numbers |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    return numbers


def _quality_numbers(quality: QualityResult) -> Numbers:
    return {"worst": quality.worst, "measure": quality.measure, "seeds": len(quality.seeds)}


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
    element = ET.SubElement(suite, "testcase", {name: _text(value) for name, value in attributes.items()})
    _add_properties(element, case.numbers)
    if case.outcome:
        shown = {"type": case.verdict, "message": _text(case.reason)}
        ET.SubElement(element, case.outcome, shown).text = _text(f"{case.reason}. {case.advice}")


def _add_properties(parent: ET.Element, numbers: Numbers) -> None:
    """A property for each number that is known; no element where none is."""
    known = {name: value for name, value in numbers.items() if value is not None and value != ""}
    if known:
        properties = ET.SubElement(parent, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", {"name": name, "value": _text(str(value))})


def _text(text: str) -> str:
    """Text without characters that XML cannot hold; ElementTree escapes markup."""
    return one_line(text)
