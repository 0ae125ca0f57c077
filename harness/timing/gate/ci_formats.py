"""A gate in the formats that CI systems read: JUnit, annotations, Bencher."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from harness.core.documents.escaping import (
    for_github_message,
    for_github_property,
    one_line,
)
from harness.core.documents.files import write_bytes
from harness.core.documents.render.markdown import markdown
from harness.errors import UsageError
from harness.timing.gate.advice import advice
from harness.timing.gate.circumstances import circumstances
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.page import gate_document
from harness.timing.gate.record import (
    BenchmarkRecord,
    GateRecord,
    Inconclusive,
    Judged,
    MetricResult,
    Verdict,
    forgiven,
)
from harness.timing.gate.words import headline, metric_text, not_passed, quality_text, why


def bencher_json(record: GateRecord) -> bytes:
    """Return a gate in the Bencher Metric Format, which Bencher and similar tools read.

    For each benchmark the ratios with their intervals, and the medians of head in seconds and bytes.
    """
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
            measures[f"{slug}-{metrics()[result.metric].base_unit}"] = {"value": result.head}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


Numbers = Mapping[str, object]


def junit_xml(record: GateRecord, inconclusive: Inconclusive = None) -> bytes:
    """Return a gate as JUnit XML in UTF-8, for GitLab and Jenkins.

    Each metric of a benchmark and its quality is a test case. FAIL is a failure and INVALID an error.
    INCONCLUSIVE is a failure, and skipped where ``--inconclusive pass`` forgives it. Numbers are properties
    of the test case, which Jenkins keeps with ``keepProperties``. The reason and the next step are in both
    the message (shown by Jenkins) and the text (shown by GitLab) of a failure.
    """
    cases = list(_cases(record, inconclusive))
    outcomes = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {
        "tests": str(len(cases)),
        **{name: str(sum(case.find(tag) is not None for case in cases)) for name, tag in outcomes.items()},
        "time": f"{record.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "harness gate", **counts})
    suite = ET.SubElement(
        root,
        "testsuite",
        {"name": one_line(f"harness gate {record.suite}"), "timestamp": record.started_at[:19], **counts},
    )
    numbers = {
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
    _add_properties(suite, numbers)
    suite.extend(cases)
    ET.indent(root)
    document: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return document + b"\n"


def _cases(record: GateRecord, inconclusive: Inconclusive) -> Iterator[ET.Element]:
    """Yield the cases: at least one for every benchmark has its verdict.

    A gate without results has a case that fails.
    """
    for benchmark in record.benchmarks:
        yield from _benchmark_cases(record, benchmark, inconclusive)
    all_passed = all(benchmark.verdict == "PASS" for benchmark in record.benchmarks)
    if record.failure or not record.benchmarks or (record.verdict != "PASS" and all_passed):
        verdict: Verdict = "INVALID" if record.failure or record.verdict == "PASS" else record.verdict
        outcome = _outcome(verdict, is_forgiven=verdict == "INCONCLUSIVE" and inconclusive == "pass")
        case = _case("gate", "suite", record.seconds, {})
        _add_outcome(case, outcome, verdict, headline(record), "")
        yield case


def _benchmark_cases(
    record: GateRecord, benchmark: BenchmarkRecord, inconclusive: Inconclusive
) -> Iterator[ET.Element]:
    results = benchmark.results
    seconds = benchmark.seconds / max(1, len(results))

    def case(name: str, judged: Judged, reason: str, numbers: Numbers) -> ET.Element:
        made = _case(f"gate.{benchmark.name}", name, seconds, numbers)
        if outcome := _outcome(judged.verdict, is_forgiven=forgiven(judged, inconclusive)):
            text = " ".join(advice(record, benchmark)).rstrip()
            _add_outcome(made, outcome, judged.verdict, reason, text)
        return made

    for result in results:
        if isinstance(result, MetricResult):
            names = ("base", "head", "limit", "p_value", "pairs", "weight", "stage")
            numbers = {name: getattr(result, name) for name in names}
            if (ratio := result.ratio) is not None:
                numbers |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
            yield case(result.metric, result, metric_text(result), numbers)
        else:
            numbers = {"worst": result.worst, "measure": result.measure, "seeds": len(result.seeds)}
            yield case("quality", result, quality_text(result), numbers)
    if benchmark.reasons or all(result.verdict != benchmark.verdict for result in results):
        yield case("ran", benchmark, why(benchmark), {})


def _outcome(verdict: Verdict, *, is_forgiven: bool) -> str:
    """Return the element of a case that did not pass."""
    if verdict == "PASS":
        return ""
    if verdict == "INVALID":
        return "error"
    return "skipped" if is_forgiven else "failure"


def _case(classname: str, name: str, seconds: float, numbers: Numbers) -> ET.Element:
    attributes = {"classname": one_line(classname), "name": one_line(name), "time": f"{seconds:.3f}"}
    case = ET.Element("testcase", attributes)
    _add_properties(case, numbers)
    return case


def _add_outcome(case: ET.Element, outcome: str, verdict: Verdict, reason: str, text: str) -> None:
    shown = {"type": verdict, "message": one_line(reason)}
    ET.SubElement(case, outcome, shown).text = one_line(f"{reason}. {text}")


def _add_properties(parent: ET.Element, numbers: Numbers) -> None:
    """Add a property for each known number; add no element where none is known."""
    known = {name: value for name, value in numbers.items() if value is not None and value != ""}
    if known:
        properties = ET.SubElement(parent, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", {"name": name, "value": one_line(str(value))})


def _page(record: GateRecord, _: Inconclusive) -> bytes:
    from harness.core.documents.render.html import html_page  # imports the charts

    return html_page(gate_document(record)).encode()


#: The name and the writer of each format, by suffix.
FORMATS: Mapping[str, tuple[str, Callable[[GateRecord, Inconclusive], bytes]]] = {
    ".xml": ("JUnit", junit_xml),
    ".md": ("summary of a pull request", lambda record, _: markdown(gate_document(record)).encode()),
    ".html": ("report", _page),
    ".json": ("Bencher Metric Format", lambda record, _: bencher_json(record)),
}


def check_target(path: Path) -> None:
    """Check that a gate can be written to a path, before anything is measured."""
    if path.suffix not in FORMATS:
        kinds = ", ".join(f"{suffix} ({meaning})" for suffix, (meaning, _) in FORMATS.items())
        raise UsageError(f"--to {path}: unknown suffix; use {kinds}")
    if path.suffix == ".html":
        try:
            import harness.core.documents.render.html  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f'--to {path.name} needs the extra "report" ({error.name or error} is missing): '
                'pip install "dl-harness[report]"'
            ) from error


def write_gate(record: GateRecord, path: Path, inconclusive: Inconclusive = None) -> None:
    """Write a gate in the format of the suffix, completely or not at all."""
    _, content = FORMATS[path.suffix]
    write_bytes(path, content(record, inconclusive))


def annotations(record: GateRecord, inconclusive: Inconclusive = None) -> Iterator[str]:
    """Yield a workflow command for each benchmark that did not pass, or for the gate where all passed.

    FAIL and INVALID are errors. INCONCLUSIVE is a warning, and an error where it counts as a failure.
    """
    benchmarks = not_passed(record)
    for benchmark in benchmarks:
        title = f"{benchmark.verdict}: {one_line(benchmark.name)}"
        message = f"{why(benchmark)}. {' '.join(advice(record, benchmark))}"
        yield _workflow_command(_is_error(benchmark, inconclusive), title, message.rstrip())
    if record.failure or (not benchmarks and record.verdict != "PASS"):
        error = bool(record.failure) or record.verdict != "INCONCLUSIVE" or inconclusive is not None
        yield _workflow_command(error, f"{record.verdict}: harness gate", headline(record))


def _is_error(judged: Judged, inconclusive: Inconclusive) -> bool:
    if judged.verdict == "INCONCLUSIVE" and inconclusive is None:
        return False
    return not forgiven(judged, inconclusive)


def _workflow_command(error: bool, title: str, message: str) -> str:
    kind = "error" if error else "warning"
    return f"::{kind} title={for_github_property(title)}::{for_github_message(message)}"


def add_to_step_summary(record: GateRecord, environment: Mapping[str, str]) -> None:
    """Append the Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, if it is set."""
    name = environment.get("GITHUB_STEP_SUMMARY")
    if name:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(markdown(gate_document(record)))


def annotates(environment: Mapping[str, str]) -> bool:
    """Check that a runner reads the output of this process for workflow commands."""
    return environment.get("GITHUB_ACTIONS") == "true"
