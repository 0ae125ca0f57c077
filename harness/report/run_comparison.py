"""The end of a ``harness run`` of several configurations or settings: answers and tables. It needs NumPy."""

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.axes import BACKEND
from harness.analysis.findings import Findings, GroupFindings, find
from harness.analysis.run_curves import Run
from harness.report.fitting import filled
from harness.report.next_duel import DECIDES, next_duel
from harness.report.setting_tables import group_table
from harness.report.table import terminal_table
from harness.report.tables import comparison_table
from harness.report.variation_words import variation_sentence
from harness.report.words import headline
from harness.runs.record import Record


def run_comparison(records: Sequence[Record], folder: Path, width: int) -> str | None:
    """The answer of each comparison, then tables, the fastest or best first; None where no run succeeded.

    ``folder`` is that of the records. Runs that did not succeed are not in the tables.
    """
    findings = _findings(records)
    if not findings.groups:
        return None
    answers = "\n\n".join(_answer(group, folder, width) for group in findings.groups)
    of_settings = [group for group in findings.groups if group.comparison.group.is_of_settings]
    others = [group for group in findings.groups if not group.comparison.group.is_of_settings]
    tables = [*map(group_table, of_settings), *([comparison_table(others)] if others else [])]
    shown = ["\n" + terminal_table(table, width) for table in tables]
    legends = dict.fromkeys(filled(table.legend, width) for table in tables if table.legend)
    return "\n".join([answers, *shown, *legends, *map(variation_sentence, findings.variations)])


def _findings(records: Sequence[Record]) -> Findings:
    """Of one backend every combination of settings: whoever runs a grid has chosen its axes."""
    runs = [Run.of(record) for record in records]
    findings = find(runs)
    axes = {tuple(variation.values) for variation in findings.variations}
    if len(axes) == 1 and BACKEND not in (chosen := next(iter(axes))):
        return find(runs, by=",".join(chosen))
    return findings


def _answer(group: GroupFindings, folder: Path, width: int) -> str:
    """A title, the answer, and the command of a duel in a line of its own to be copied."""
    comparison = group.comparison
    command = next_duel(comparison, folder.parent)
    duel = [f"{DECIDES}\n  {command}"] if command else []
    return "\n".join([comparison.group.title, filled(headline(comparison), width), *duel])
