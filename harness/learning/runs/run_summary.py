"""The end of ``harness run`` where a task was run in several configurations or settings: a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.documents.document import Command, Node, Paragraph, Section
from harness.core.runs.own_models import is_alone
from harness.core.runs.record import Record

if TYPE_CHECKING:
    from harness.learning.runs.findings import Findings
    from harness.timing.duel.record import DuelRecord

# What compares is imported when there is something to compare: it takes longer than a short run.


def compared(records: Sequence[Record], folder: Path) -> list[Node]:
    """Return the answer of each comparison of these runs, then tables, the fastest or best first.

    ``folder`` is that of the records. Runs that did not succeed are not in the tables; nothing is returned
    where no run succeeded, or each task ran in one configuration alone.
    """
    return _comparison(records, folder) if _is_comparison(records) else []


def _is_comparison(records: Sequence[Record]) -> bool:
    """Check whether a task was run in several configurations or settings, or several models of a backend."""
    trained = {
        (
            record.task.name,
            record.configuration.label,
            record.task.sha256,
            record.configuration.precision,
            record.configuration.threads,
        )
        for record in records
    }
    subjects = {record.configuration.backend if is_alone(record) else record.task.name for record in records}
    return len(trained) > len(subjects)


def _comparison(records: Sequence[Record], folder: Path) -> list[Node]:
    from harness.learning.runs.kept_apart import variation_sentence
    from harness.learning.runs.sentences import DUEL_LEAD, headline, next_duel
    from harness.learning.runs.tables import comparison_table, group_table

    findings = _findings(records, folder.parent)
    if not findings.groups:
        return []
    answers = []
    for group in findings.groups:
        decides = Command(next_duel(group.comparison), DUEL_LEAD)
        answer: list[Node] = [Paragraph(headline(group.comparison), "answer"), decides]
        answers.append(Section(group.comparison.group.title, answer, announced=True))
    of_settings = [group for group in findings.groups if group.comparison.group.is_of_settings]
    others = [group for group in findings.groups if not group.comparison.group.is_of_settings]
    return [
        Section("", answers),
        *map(group_table, of_settings),
        comparison_table(others),
        *(Paragraph(variation_sentence(each)) for each in findings.variations),
    ]


def _findings(records: Sequence[Record], results: Path) -> "Findings":
    """Compare the runs, with the duels of the folder ``results``.

    With one backend, compare every combination of settings: the grid defines the axes.
    """
    from harness.learning.runs.axes import BACKEND
    from harness.learning.runs.findings import find
    from harness.learning.runs.run_curves import Run

    runs = [Run.of(record) for record in records]
    findings = find(runs, duels=_duels(results))
    axes = {tuple(variation.values) for variation in findings.variations}
    if len(axes) == 1 and BACKEND not in (chosen := next(iter(axes))):
        return find(runs, by=",".join(chosen))
    return findings


def _duels(results: Path) -> "list[DuelRecord]":
    from harness.core.shell.features import records
    from harness.timing.duel.record import DUELS

    return records().read_all(DUELS, DUELS.paths(results))[0]
