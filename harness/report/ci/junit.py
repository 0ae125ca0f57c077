"""A gate as JUnit XML, as GitLab and Jenkins read it: a test case a benchmark and metric, and its quality.

Numbers are properties of the test case, of which Jenkins keeps those with ``keepProperties``; what a
person must read is in both the message (Jenkins) and the text (GitLab) of a failure.
"""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree as ET

from harness.gate.folding import Inconclusive, Judged, forgiven
from harness.gate.record import BenchmarkRecord, GateRecord, MetricResult, Verdict
from harness.report.escaping import one_line
from harness.report.gate_advice import what_next
from harness.report.gate_words import circumstances, headline, metric_sentence, why


class _Found(NamedTuple):
    """A verdict that is of no result; ``unsound`` as of a :class:`BenchmarkRecord`."""

    verdict: Verdict
    unsound: bool
    against: bool = False


_NOTHING = _Found("INCONCLUSIVE", unsound=True)


class _Case(NamedTuple):
    """One test case: where it belongs, the result with its verdict, why, and its numbers."""

    classname: str
    name: str
    seconds: float
    found: Judged
    why: str
    next: str
    numbers: dict[str, object]


def junit_xml(record: GateRecord, inconclusive: Inconclusive = None) -> bytes:
    """The document in UTF-8. What is inconclusive has failed, or with ``pass`` was skipped if it is sound."""
    cases = list(_cases(record))
    failed = sum(_has_failed(case, inconclusive) for case in cases)
    skipped = sum(case.found.verdict != "PASS" for case in cases) - failed
    counts = {
        "tests": str(len(cases)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(skipped),
        "time": f"{record.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "harness gate", **counts})
    suite = ET.SubElement(
        root,
        "testsuite",
        {"name": _text(f"harness gate {record.suite}"), "timestamp": record.started_at[:19], **counts},
    )
    _properties(suite, _suite_numbers(record))
    for case in cases:
        _add(suite, case, inconclusive)
    ET.indent(root)
    document: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return document + b"\n"


def _cases(record: GateRecord) -> Iterator[_Case]:
    """Some case of every benchmark has its verdict; a suite of which nothing ran has a case that fails."""
    for benchmark in record.benchmarks:
        cases = [*_metric_cases(record, benchmark), *_quality_case(record, benchmark)]
        yield from cases
        if benchmark.verdict != "PASS" and not any(_tells(case.found, benchmark) for case in cases):
            yield _case(record, benchmark, "ran", benchmark, why(benchmark), {})
        elif not cases:
            yield _case(record, benchmark, "ran", _NOTHING, "nothing was measured", {})
    if not record.benchmarks or (record.verdict != "PASS" and _all_passed(record)):
        verdict: Verdict = "FAIL" if record.verdict == "PASS" else record.verdict
        yield _Case("gate", "suite", record.seconds, _Found(verdict, unsound=True), headline(record), "", {})


def _tells(found: Judged, benchmark: BenchmarkRecord) -> bool:
    """Whether the benchmark's verdict is this one, and is folded as this one is."""
    return found.verdict == benchmark.verdict and (found.unsound or found.against) >= (
        benchmark.unsound or benchmark.against
    )


def _all_passed(record: GateRecord) -> bool:
    return all(benchmark.verdict == "PASS" for benchmark in record.benchmarks)


def _metric_cases(record: GateRecord, benchmark: BenchmarkRecord) -> Iterator[_Case]:
    for result in benchmark.metrics:
        yield _case(record, benchmark, result.metric, result, metric_sentence(result), _numbers(result))


def _quality_case(record: GateRecord, benchmark: BenchmarkRecord) -> Iterator[_Case]:
    quality = benchmark.quality
    if quality is not None:
        because = quality.reason or "head's losses against base's"
        numbers = {"worst": quality.worst, "measure": quality.measure, "seeds": len(quality.seeds)}
        yield _case(record, benchmark, "quality", quality, because, numbers)


def _case(
    record: GateRecord, benchmark: BenchmarkRecord, name: str, found: Judged, because: str, numbers: object
) -> _Case:
    share = benchmark.seconds / max(1, len(benchmark.metrics) + (benchmark.quality is not None))
    advice = "" if found.verdict == "PASS" else what_next(record, benchmark)
    told = dict(numbers) if isinstance(numbers, dict) else {}
    return _Case(f"gate.{benchmark.name}", name, share, found, because, advice, told)


def _numbers(result: MetricResult) -> dict[str, object]:
    names = (
        "base",
        "head",
        "ratio",
        "low",
        "high",
        "limit",
        "p_value",
        "pairs",
        "unpaired",
        "weight",
        "stage",
    )
    return {name: getattr(result, name) for name in names}


def _suite_numbers(record: GateRecord) -> dict[str, object]:
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


def _has_failed(case: _Case, inconclusive: Inconclusive) -> bool:
    return case.found.verdict != "PASS" and not forgiven(case.found, inconclusive)


def _add(suite: ET.Element, case: _Case, inconclusive: Inconclusive) -> None:
    attributes = {"classname": case.classname, "name": case.name, "time": f"{case.seconds:.3f}"}
    element = ET.SubElement(suite, "testcase", {name: _text(value) for name, value in attributes.items()})
    _properties(element, case.numbers)
    if case.found.verdict == "PASS":
        return
    told = {"type": case.found.verdict, "message": _text(case.why)}
    kind = "failure" if _has_failed(case, inconclusive) else "skipped"
    ET.SubElement(element, kind, told).text = _text(f"{case.why}. {case.next}")


def _properties(parent: ET.Element, numbers: dict[str, object]) -> None:
    """An element for each that is known; none at all where there is nothing to say."""
    known = {name: value for name, value in numbers.items() if value is not None and value != ""}
    if known:
        properties = ET.SubElement(parent, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", {"name": name, "value": _text(str(value))})


def _text(text: str) -> str:
    """ElementTree escapes markup, but not characters that XML cannot hold."""
    return one_line(text)
