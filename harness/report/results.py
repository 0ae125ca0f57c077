"""How each kind of result is listed, printed and written to files: one view for each kind.

What needs NumPy or the extra "report" is imported when it is called, so that listing stays quick.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.analysis.study import STUDIES, Study
from harness.duel.files import DUELS
from harness.duel.record import DuelRecord, DuelResult
from harness.gate.files import GATES
from harness.gate.record import GateRecord
from harness.report.details import record_details
from harness.report.gate import gate_text
from harness.report.numbers import NOTHING, time_ratio
from harness.report.scores import test_score
from harness.report.terminal import runs_table, terminal_width
from harness.runs.record import Record
from harness.runs.store import RUNS, Store


class Row(NamedTuple):
    """A result in a list of results."""

    task: str
    configurations: str
    outcome: str
    """Scores or verdicts; the status of what did not end well."""


class View(NamedTuple):
    """The forms of a kind. ``text`` takes a record and its file; the rest take a record."""

    row: Callable[[Any], Row]
    text: Callable[[Any, Path], str]


def _run_row(record: Record) -> Row:
    outcome = (
        test_score(record).replace(" ", "\N{NO-BREAK SPACE}") if record.status == "ok" else record.status
    )
    return Row(record.task.name, record.label, outcome)


def _run_text(record: Record, _path: Path) -> str:
    return f"{runs_table([record], terminal_width())}\n\n{record_details(record)}"


def _duel_row(record: DuelRecord) -> Row:
    labels = ", ".join(configuration.label for configuration in record.configurations)
    outcome = "; ".join(map(_duel_outcome, record.results)) if record.status == "ok" else record.status
    return Row(record.task.name, labels, outcome)


def _duel_outcome(result: DuelResult) -> str:
    """``jax:jit faster: −34.1 % [−36.0, −32.2]``."""
    return f"{result.configuration} {result.verdict}: {time_ratio(result.ratio)}"


def _duel_text(record: DuelRecord, _path: Path) -> str:
    from harness.report.duel import duel_text

    return duel_text(record)


def _gate_row(record: GateRecord) -> Row:
    tasks = dict.fromkeys(benchmark.task for benchmark in record.benchmarks)
    backends = dict.fromkeys(f"{benchmark.backend}:{benchmark.mode}" for benchmark in record.benchmarks)
    return Row(", ".join(tasks), ", ".join(backends), record.verdict)


def _gate_text(record: GateRecord, _path: Path) -> str:
    return gate_text(record)


def _study_row(study: Study) -> Row:
    return Row(study.task, NOTHING, f"{study.kind}: {len(study.variants)} variants")


def _study_text(study: Study, path: Path) -> str:
    from harness.report.study import study_text

    return study_text(study, Store(path.parent.parent))


#: By the name of the kind.
VIEWS: Mapping[str, View] = {
    RUNS.name: View(_run_row, _run_text),
    DUELS.name: View(_duel_row, _duel_text),
    GATES.name: View(_gate_row, _gate_text),
    STUDIES.name: View(_study_row, _study_text),
}
