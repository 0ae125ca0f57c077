"""How each kind of result is listed, printed and written to files: one view for each kind.

What only texts and files need is imported when they are made, so that listing stays quick.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.analysis.study import STUDIES, Study
from harness.bisect.record import BISECTIONS, BisectRecord
from harness.duel.record import DUELS, TIMES, DuelRecord, DuelResult, TimeRecord
from harness.gate.record import GATES, GateRecord
from harness.port.findings import PORTS, PortRecord
from harness.report.numbers import NOTHING, busy_mark, significant, test_score, time_ratio
from harness.runs.record import Record, step_time
from harness.runs.store import RUNS, Store

if TYPE_CHECKING:
    from harness.report.document import Document


class Row(NamedTuple):
    """A result in a list of results."""

    task: str
    configurations: str
    outcome: str
    """Scores or verdicts; the status of what did not end well."""


class View(NamedTuple):
    """The forms of a kind: its row in a list, its text, and its content as a file, by the file's suffix.

    ``text`` and files take a record and the path it was read from. Runs have no files of their own: they
    are reported together.
    """

    row: Callable[[Any], Row]
    text: Callable[[Any, Path], str]
    files: Mapping[str, Callable[[Any, Path], str]]


def _run_row(record: Record) -> Row:
    if record.status != "ok":
        return Row(record.task.name, record.configuration.label, record.status)
    parts = [test_score(record)]
    if steady := step_time(record):
        step = f"step {significant(1e3 * steady.median)} ms"
        parts.append(busy_mark(step, disturbed=record.disturbed))
    outcome = ", ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    return Row(record.task.name, record.configuration.label, outcome)


def _run_document(record: Record) -> "Document":
    from harness.report.runs.record import record_document

    return record_document(record)


def _duel_row(record: DuelRecord) -> Row:
    labels = ", ".join(configuration.label for configuration in record.configurations)
    outcome = "; ".join(map(_duel_outcome, record.results)) if record.status == "ok" else record.status
    return Row(record.work_name, labels, outcome)


def _duel_outcome(result: DuelResult) -> str:
    """``jax:jit faster: −34.1 % [−36.0, −32.2]``."""
    return f"{result.configuration} {result.verdict}: {time_ratio(result.ratio)}"


def _duel_document(record: DuelRecord) -> "Document":
    from harness.report.duel import duel_document

    return duel_document(record)


def _gate_row(record: GateRecord) -> Row:
    tasks = dict.fromkeys(benchmark.task for benchmark in record.benchmarks)
    backends = dict.fromkeys(
        f"{benchmark.backend}:{benchmark.mode}".rstrip(":") for benchmark in record.benchmarks
    )
    return Row(", ".join(tasks), ", ".join(backends), record.verdict)


def _gate_document(record: GateRecord) -> "Document":
    from harness.report.gate import gate_document

    return gate_document(record)


def _study_row(study: Study) -> Row:
    return Row(study.task, NOTHING, f"{study.kind.name}: {len(study.variants)} variants")


def _study_text(study: Study, path: Path) -> str:
    from harness.report.study import study_text

    return study_text(study, Store(path.parent.parent))


def _study_page(study: Study, path: Path) -> str:
    from harness.report.study import study_page

    return study_page(study, Store(path.parent.parent))


def _port_row(record: PortRecord) -> Row:
    findings = record.findings
    kinds = ", ".join(dict.fromkeys(cause.kind for cause in findings.causes))
    outcome = f"{findings.verdict}: {kinds}" if kinds else findings.verdict
    return Row(NOTHING, f"{findings.a.target}, {findings.b.target}", outcome)


def _port_document(record: PortRecord) -> "Document":
    from harness.report.port import port_document

    return port_document(record)


def _view(
    row: Callable[[Any], Row], document: "Callable[[Any], Document]", suffixes: Sequence[str] = ()
) -> View:
    """The view of a kind whose records are documents by themselves."""

    def text(record: Any, _path: Path) -> str:
        from harness.report.render.terminal import terminal_text

        return terminal_text(document(record))

    def page(record: Any, _path: Path) -> str:
        from harness.report.render.html import html_page

        return html_page(document(record))

    def in_markdown(record: Any, _path: Path) -> str:
        from harness.report.render.markdown import markdown

        return markdown(document(record))

    files = {".html": page, ".md": in_markdown}
    return View(row, text, {suffix: files[suffix] for suffix in suffixes})


def _time_row(record: TimeRecord) -> Row:
    from harness.report.step_times import outcome

    return Row(" and ".join(record.step.targets), NOTHING, outcome(record))


def _time_document(record: TimeRecord) -> "Document":
    from harness.report.step_times import time_document

    return time_document(record)


def _bisect_row(record: BisectRecord) -> Row:
    from harness.report.bisect import outcome

    work = record.benchmark.step or record.benchmark.task
    return Row(work, f"{record.candidates[0].name} to {record.candidates[-1].name}", outcome(record))


def _bisect_document(record: BisectRecord) -> "Document":
    from harness.report.bisect import bisect_document

    return bisect_document(record)


#: By the name of the kind.
VIEWS: Mapping[str, View] = {
    RUNS.name: _view(_run_row, _run_document),
    DUELS.name: _view(_duel_row, _duel_document, (".html", ".md")),
    GATES.name: _view(_gate_row, _gate_document, (".html", ".md")),
    PORTS.name: _view(_port_row, _port_document, (".html", ".md")),
    BISECTIONS.name: _view(_bisect_row, _bisect_document, (".html", ".md")),
    TIMES.name: _view(_time_row, _time_document, (".html", ".md")),
    STUDIES.name: View(_study_row, _study_text, {".html": _study_page}),
}
