"""Findings for a paper: the tables in LaTeX, each below the answer, and the sources in BibTeX."""

import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from harness.core.documents.document import Table
from harness.core.documents.files import write_text
from harness.core.documents.render.latex import for_latex, latex_table
from harness.errors import unknown_name
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.sentences import SHOWN_GROUPS, headline
from harness.learning.runs.tables import differences_table, group_table

_METHOD = r"""Compared with dl-harness~\cite{dlharness}. Brackets are 95\,\% intervals, Student's over
seeds~\cite{student1908}; scores are equal where two one-sided tests~\cite{schuirmann1987} say so."""
_SOURCES = """\
@software{dlharness,
  author = {{The dl-harness authors}},
  title = {dl-harness: benchmarks of deep-learning frameworks that prove the same work first, then time it},
  version = {VERSION},
  year = {2026},
}

@article{schuirmann1987,
  author = {Schuirmann, Donald J.},
  title = {A comparison of the two one-sided tests procedure and the power approach for assessing the
           equivalence of average bioavailability},
  journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume = {15}, number = {6}, pages = {657--680}, year = {1987},
}

@article{student1908,
  author = {{Student}},
  title = {The probable error of a mean},
  journal = {Biometrika},
  volume = {6}, number = {1}, pages = {1--25}, year = {1908},
}
"""
_UNIT = re.compile(r" \([^()]*\)$")


def write_paper(findings: Findings, path: Path, columns: Sequence[str] = ()) -> None:
    """Write the tables of groups of runs and of further sections for LaTeX's ``input``, and a ``.bib`` file.

    ``columns`` are those to write, in this order, named as printed, with or without the unit; all if empty.
    The first column of a table stays, and a table with no other one is left out.

    Raises:
        UsageError: no table has one of the ``columns``.
    """
    sources = path.with_suffix(".bib")
    packages = r"\usepackage{booktabs,graphicx,amssymb}"
    parts = [
        f"% Written by harness report. Needs {packages}; the sources are in {sources.name}.",
        _METHOD,
    ]
    shown = [*_passages(findings)]
    known = {_named(header) for _, tables in shown for table in tables.values() for header in table.headers}
    if unknown := [name for name in columns if _named(name) not in known]:
        raise unknown_name("column", unknown[0], known)
    for text, tables in shown:
        parts.append(text)
        for label, table in tables.items():
            chosen = _chosen(table, columns)
            parts += [latex_table(chosen, label)] if len(chosen.headers) > 1 else []
    write_text(path, "\n\n".join(parts) + "\n")
    write_text(sources, _SOURCES.replace("VERSION", metadata.version("dl-harness")), named=False)


def _passages(findings: Findings) -> Iterator[tuple[str, dict[str, Table]]]:
    """Yield the answer of each group and section, and its tables by their labels."""
    for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1):
        answer = _paragraph(group.comparison.group.title, headline(group.comparison))
        yield answer, _tables_of(group, f"tab:harness-{number}")
    for number, section in enumerate(findings.sections, 1):
        answer = _paragraph(section.title, section.sentence)
        yield answer, {f"tab:harness-{section.prefix}-{number}": section.table}


def _paragraph(title: str, answer: str) -> str:
    return rf"\paragraph{{{for_latex(title)}}}" + f"\n\n{for_latex(answer)}"


def _tables_of(group: GroupFindings, label: str) -> dict[str, Table]:
    table = group_table(group)
    title = f"{table.title} ({group.comparison.group.title})"
    differences = differences_table(group.comparison)
    further = {f"{label}-differences": differences} if differences else {}
    return {label: table._replace(title=title)} | further


def _named(header: str) -> str:
    """Return the name of a column without its unit."""
    return _UNIT.sub("", header)


def _chosen(table: Table, columns: Sequence[str]) -> Table:
    if not columns:
        return table
    names = [*map(_named, table.headers)]
    wanted = [names.index(name) for name in map(_named, columns) if name in names]
    places = [*dict.fromkeys([0, *wanted])]
    return table._replace(
        headers=[table.headers[place] for place in places],
        rows=[[row[place] for place in places] for row in table.rows],
    )
