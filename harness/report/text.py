"""Findings for the terminal: sentences first, then the tables they rest on, then what was left out."""

import textwrap
from collections.abc import Iterator

from tabulate import tabulate

from harness.analysis.findings import Findings
from harness.report.tables import Table, overfitting_table, phases_table, sides_table, study_table
from harness.report.words import (
    NOTHING_FOUND,
    SHOWN_SECTIONS,
    cut,
    headlines,
    kept_apart_sentence,
    left_out_sentence,
)

_NARROWEST = 60
_MOST_NOTES = 20


def findings_text(findings: Findings, width: int, peak_flops: float | None = None) -> str:
    """All of it, as wide as the terminal; tables turn on their side where they would be wider."""
    return "\n\n".join(_parts(findings, max(width, _NARROWEST), peak_flops))


def _parts(findings: Findings, width: int, peak_flops: float | None) -> Iterator[str]:
    told = headlines(findings)
    if not told and not findings.studies:
        yield textwrap.fill(NOTHING_FOUND, width)
    for title, sentences in told.items():
        yield title + "\n" + "\n".join(_bullet(sentence, width) for sentence in sentences)
    for found in findings.sections[:SHOWN_SECTIONS]:
        yield f"{found.comparison.section.title}\n" + _table(sides_table(found.comparison, peak_flops), width)
        yield "Where the time went\n" + _table(phases_table(found.comparison), width)
        if found.overfittings:
            yield "Overfitting\n" + _table(overfitting_table(found.overfittings), width)
    if (hidden := len(findings.sections) - SHOWN_SECTIONS) > 0:
        yield f"and {hidden} more settings; filters such as task=cnn show fewer at a time"
    for study in findings.studies:
        title = f"Remedies for {study.study.kind}, {study.title}"
        yield f"{title}\n" + _table(study_table(study), width)
    for title, sentences in _notes(findings):
        if sentences:
            yield title + "\n" + "\n".join(_bullet(text, width) for text in cut(sentences, _MOST_NOTES))


def _notes(findings: Findings) -> Iterator[tuple[str, list[str]]]:
    yield "Left out", [*map(left_out_sentence, findings.left_out)]
    yield "Not compared", [*map(kept_apart_sentence, findings.kept_apart)]


def _bullet(text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def _table(table: Table, width: int) -> str:
    """The table, or where it is too wide its columns as rows."""
    text = tabulate(table.rows, table.headers, tablefmt="simple", disable_numparse=True)
    if max(map(len, text.splitlines())) <= width:
        return text
    turned = [list(row) for row in zip(table.headers, *table.rows, strict=True)]
    return tabulate(turned[1:], turned[0], tablefmt="simple", disable_numparse=True)
