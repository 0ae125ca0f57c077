"""How each kind of result is listed, printed and written to files: one view for each kind.

What only texts and files need is imported when they are made, so that listing stays quick.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

from harness.core.documents.numbers import (
    NOTHING,
    busy_mark,
    significant,
    test_score,
    time_ratio,
)
from harness.core.runs.record import Record, step_time
from harness.core.runs.store import RUNS, Store
from harness.learning.study.record import STUDIES, Study
from harness.port.findings import PORTS, PortRecord
from harness.timing.bisect.record import BISECTIONS, BisectRecord
from harness.timing.duel.record import (
    DUELS,
    TIMES,
    DuelRecord,
    DuelResult,
    TimeRecord,
)
from harness.timing.gate.record import GATES, GateRecord


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


def _duel_row(record: DuelRecord) -> Row:
    labels = ", ".join(configuration.label for configuration in record.configurations)
    outcome = "; ".join(map(_duel_outcome, record.results)) if record.status == "ok" else record.status
    return Row(record.work_name, labels, outcome)


def _duel_outcome(result: DuelResult) -> str:
    """``jax:jit faster: −34.1 % [−36.0, −32.2]``."""
    return f"{result.configuration} {result.verdict}: {time_ratio(result.ratio)}"


def _gate_row(record: GateRecord) -> Row:
    tasks = dict.fromkeys(benchmark.task for benchmark in record.benchmarks)
    backends = dict.fromkeys(
        f"{benchmark.backend}:{benchmark.mode}".rstrip(":") for benchmark in record.benchmarks
    )
    return Row(", ".join(tasks), ", ".join(backends), record.verdict)


def _study_row(study: Study) -> Row:
    return Row(study.task, NOTHING, f"{study.kind.name}: {len(study.variants)} variants")


def _of_study(function: str) -> Callable[[Study, Path], str]:
    """A text of :mod:`harness.learning.study.page` from a study and the store that its file lies in."""

    def text(study: Study, path: Path) -> str:
        made: str = resolve_name(f"harness.learning.study.page:{function}")(study, Store(path.parent.parent))
        return made

    return text


def _port_row(record: PortRecord) -> Row:
    findings = record.findings
    kinds = ", ".join(dict.fromkeys(cause.kind for cause in findings.causes))
    outcome = f"{findings.verdict}: {kinds}" if kinds else findings.verdict
    return Row(NOTHING, f"{findings.a.target}, {findings.b.target}", outcome)


def _view(row: Callable[[Any], Row], document: str, suffixes: Sequence[str] = (".html", ".md")) -> View:
    """The view of a kind whose records are documents; ``document`` is ``module:function`` in this folder."""

    def rendered(renderer: str) -> Callable[[Any, Path], str]:
        def text(record: Any, _path: Path) -> str:
            made = resolve_name(f"harness.{document}")(record)
            written: str = resolve_name(f"harness.core.documents.render.{renderer}")(made)
            return written

        return text

    files = {".html": rendered("html:html_page"), ".md": rendered("markdown:markdown")}
    return View(row, rendered("terminal:terminal_text"), {suffix: files[suffix] for suffix in suffixes})


def _time_row(record: TimeRecord) -> Row:
    from harness.timing.time.page import outcome

    return Row(" and ".join(record.step.targets), NOTHING, outcome(record))


def _bisect_row(record: BisectRecord) -> Row:
    from harness.timing.bisect.page import outcome

    work = record.benchmark.step or record.benchmark.task
    return Row(work, f"{record.candidates[0].name} to {record.candidates[-1].name}", outcome(record))


#: By the name of the kind.
VIEWS: Mapping[str, View] = {
    RUNS.name: _view(_run_row, "core.shell.commands.show:run_document", ()),
    DUELS.name: _view(_duel_row, "timing.duel.page:duel_document"),
    GATES.name: _view(_gate_row, "timing.gate.page:gate_document"),
    PORTS.name: _view(_port_row, "port.page:port_document"),
    BISECTIONS.name: _view(_bisect_row, "timing.bisect.page:bisect_document"),
    TIMES.name: _view(_time_row, "timing.time.page:time_document"),
    STUDIES.name: View(_study_row, _of_study("study_text"), {".html": _of_study("study_page")}),
}
