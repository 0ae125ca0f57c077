"""Findings for a paper: the tables in LaTeX, each below the answer."""

from collections.abc import Iterator
from pathlib import Path

from harness.core.documents.document import Table
from harness.core.documents.files import write_text
from harness.core.documents.render.latex import for_latex, latex_table
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.sentences import SHOWN_GROUPS, headline
from harness.learning.runs.tables import differences_table, group_table


def write_paper(findings: Findings, path: Path) -> None:
    """Write the tables of each group of runs and of each further section, for LaTeX's ``input``."""
    parts = ["% Written by harness report. Needs \\usepackage{booktabs,graphicx,amssymb}."]
    for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1):
        parts += _paragraph(group.comparison.group.title, headline(group.comparison))
        parts += _tables_of(group, f"tab:harness-{number}")
    for number, section in enumerate(findings.sections, 1):
        parts += _paragraph(section.title, section.sentence)
        parts.append(latex_table(section.table, f"tab:harness-{section.prefix}-{number}"))
    write_text(path, "\n\n".join(parts) + "\n")


def _paragraph(title: str, answer: str) -> list[str]:
    return [rf"\paragraph{{{for_latex(title)}}}", for_latex(answer)]


def _tables_of(group: GroupFindings, label: str) -> Iterator[str]:
    table: Table = group_table(group)
    title = f"{table.title} ({group.comparison.group.title})"
    yield latex_table(table._replace(title=title), label)
    if differences := differences_table(group.comparison):
        yield latex_table(differences, f"{label}-differences")
