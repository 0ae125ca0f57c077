"""Findings for the terminal: for each task the answer, a table, overfitting, and what was left out."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.analysis.comparison import Comparison
from harness.analysis.findings import Findings, GroupFindings, TaskFindings
from harness.report.duel import DECIDES, next_duel
from harness.report.fitting import filled
from harness.report.method import caveats
from harness.report.numbers import RATIO_LEGEND, cut
from harness.report.overfitting_words import (
    gap_sentence,
    overfitting_sentence,
    overfitting_table,
    study_table,
)
from harness.report.setting_tables import group_table
from harness.report.study_words import study_sentence, study_title
from harness.report.table import Table, terminal_table
from harness.report.tables import (
    comparison_legend,
    comparison_table,
    details_table,
    has_ratios,
    machines_table,
    phases_table,
)
from harness.report.words import (
    NOTHING_COMPARABLE,
    SHOWN_GROUPS,
    headline,
    kept_apart_sentence,
    left_out_sentence,
    remarks,
    variation_sentence,
    where_text,
)

_NARROWEST = 60
_MOST_NOTES = 20


def findings_text(
    findings: Findings, width: int, peak_flops: float | None = None, *, verbose: bool = False
) -> str:
    """The findings, ``width`` columns wide; ``verbose`` adds throughput, memory, phases and overfit criteria.

    ``peak_flops`` is the device's peak in FLOP/s; with it the share that is used is shown.
    """
    layout = _Layout(max(width, _NARROWEST), peak_flops, findings.results, verbose=verbose)
    return "\n\n".join(_parts(findings, layout))


def _parts(findings: Findings, layout: "_Layout") -> Iterator[str]:
    tasks = findings.by_task(SHOWN_GROUPS)
    if not findings.groups and not findings.studies:
        yield layout.filled(NOTHING_COMPARABLE)
    for task in tasks:
        if len(tasks) > 1:
            yield f"{task.task}\n{'=' * len(task.task)}"
        yield from layout.task(task)
    if (hidden := len(findings.groups) - SHOWN_GROUPS) > 0:
        yield f"{hidden} more groups of runs are not shown; select some with filters such as task=cnn."
    for across in findings.machines:
        yield layout.explained(machines_table(across))
    yield from layout.listed("Cautions", caveats(findings))
    comparisons = [group.comparison for group in findings.groups[:SHOWN_GROUPS]]
    if findings.studies or any(has_ratios(comparison) for comparison in comparisons):
        yield layout.filled(RATIO_LEGEND)
    if comparisons:
        yield layout.filled(comparison_legend(comparisons, ratios=False))


def _is_compared(group: GroupFindings) -> bool:
    """Whether a group has more than one configuration."""
    return len(group.comparison.summaries) > 1


class _Layout:
    """How wide text and tables are, and how much of the detail is shown."""

    def __init__(self, width: int, peak_flops: float | None, results: Path | None, *, verbose: bool) -> None:
        self._results = results
        self._width = width
        self._peak_flops = peak_flops
        self._verbose = verbose

    def filled(self, text: str) -> str:
        return filled(text, self._width)

    def task(self, task: TaskFindings) -> Iterator[str]:
        for variation in task.variations:
            yield self.filled(variation_sentence(variation))
        if task.variations and not self._verbose and not any(_is_compared(group) for group in task.groups):
            yield self._table(comparison_table(task.groups))
        else:
            for group in task.groups:
                yield from self._group(group)
        for study in task.studies:
            yield study_title(study)
            yield self.filled(study_sentence(study))
            yield self._titled(study_table(study))
        yield from self.listed("Not compared", map(kept_apart_sentence, task.kept_apart))
        yield from self.listed("Left out", map(left_out_sentence, task.left_out))

    def _group(self, group: GroupFindings) -> Iterator[str]:
        comparison = group.comparison
        yield f"{comparison.group.title} ({where_text(comparison.group)})"
        yield self.filled(headline(comparison)) + self._duel(comparison)
        yield self._table(group_table(group))
        if self._verbose or self._peak_flops:
            yield self._titled(details_table(comparison, self._peak_flops))
        if self._verbose:
            yield self._titled(phases_table(comparison))
        sentences = [overfitting_sentence(overfit) for overfit in group.overfittings]
        yield from self.listed("Overfitting", [*sentences, *map(gap_sentence, group.gaps)])
        if self._verbose and group.overfittings:
            yield self._titled(overfitting_table(group.overfittings))
        yield from self.listed("Notes", remarks(comparison))

    def _duel(self, comparison: Comparison) -> str:
        """The command of a duel that would decide, in a line of its own to be copied."""
        command = next_duel(comparison, self._results)
        return f"\n{DECIDES}\n  {command}" if command else ""

    def explained(self, table: Table) -> str:
        """A table with its title and its legend."""
        return f"{self._titled(table)}\n{self.filled(table.legend)}"

    def _titled(self, table: Table) -> str:
        return f"{self.filled(table.title)}\n{self._table(table)}"

    def _table(self, table: Table) -> str:
        return terminal_table(table, self._width)

    def listed(self, title: str, sentences: Iterable[str]) -> Iterator[str]:
        shown: Sequence[str] = cut(list(sentences), _MOST_NOTES)
        if shown:
            yield title + "\n" + "\n".join(map(self._bullet, shown))

    def _bullet(self, text: str) -> str:
        return filled(text, self._width, "- ", "  ")
