"""What a notebook displays of findings: sentences, tables and a few charts, drawn, in one piece of HTML."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from harness.analysis.findings import Findings
from harness.analysis.study_effects import StudyFinding
from harness.report.overfitting_tables import study_table
from harness.report.setting_tables import group_table
from harness.report.study_lesson import answer, beginning, headline, lessons
from harness.report.table import Table

if TYPE_CHECKING:
    from harness.report.figure import Figure

#: The charts that are drawn at once; each takes a tenth of a second.
_DRAWN = ("-loss", "-curves")
_WIDTH = 420


def report_html(findings: Findings, sentences: Sequence[str]) -> str:
    """The sentences, the table of each group, and the curves of the first one."""
    parts = [_list(sentences)]
    parts += [_table(group_table(group)) for group in findings.groups]
    parts += [_charts(lambda: _curves(findings))] * bool(findings.groups)
    return "\n".join(parts)


@dataclass(frozen=True)
class StudyReport:
    """The result of :func:`harness.study`; a notebook displays it, a part for each configuration."""

    findings: list[StudyFinding]

    def _repr_html_(self) -> str:
        return "\n".join(map(_study, self.findings))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self)}

    def __str__(self) -> str:
        lines = []
        for study in self.findings:
            curves = study.curves()
            lines += [headline(study, curves.get(study.effects[0].variant.name)), answer(study)]
            lines += [f"- {each.name}: {each.outcome}" for each in lessons(study, curves)]
        return "\n".join(lines)


def _study(study: StudyFinding) -> str:
    curves = study.curves()
    plain = curves.get(study.effects[0].variant.name)
    explained = plain is not None and plain.onset.epoch is not None and study.study.kind == "overfitting"
    begins = beginning(plain) if plain is not None and explained else []
    outcomes = [f"{each.name}: {each.outcome}. {each.meaning}" for each in lessons(study, curves)]
    parts = [
        f"<h3>{escape(headline(study, plain))}</h3>",
        *(f"<p>{escape(sentence)}</p>" for sentence in [*begins, answer(study)]),
        _list(outcomes),
        _charts(lambda: _of_study(study)),
        _table(study_table(study)),
    ]
    return "\n".join(parts)


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in table.headers)
    rows = (
        "".join(f"<td>{escape(cell if isinstance(cell, str) else cell.text)}</td>" for cell in row)
        for row in table.rows
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><caption>{escape(table.title)}</caption><tr>{head}</tr>{body}</table>"


def _curves(findings: Findings) -> "list[Figure]":
    from harness.report.figures import colours_of, group_figures

    figures = group_figures(findings.groups[0], "comparison-1", colours_of(findings), relative=False)
    return [figure for figure in figures if figure.name.endswith(_DRAWN)]


def _of_study(study: StudyFinding) -> "list[Figure]":
    from harness.report.study_figures import study_figures

    return study_figures(study, "study")


def _charts(figures: "Callable[[], list[Figure]]") -> str:
    """The charts side by side; nothing without the extra ``report``."""
    try:
        from harness.report.rendering import svg

        drawn = "".join(f"<div>{svg(figure, _WIDTH)}</div>" for figure in figures())
    except ImportError:
        return ""
    return f'<div style="display: flex; flex-wrap: wrap; gap: 16px">{drawn}</div>'
