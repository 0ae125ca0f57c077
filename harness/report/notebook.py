"""The report as a notebook: findings as text, charts as outputs, and the calls that reproduce them."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import v4

from harness.analysis.findings import Findings
from harness.analysis.study_effects import StudyFinding
from harness.report.charts import CONFIG
from harness.report.escaping import for_markdown
from harness.report.figure import Figure, Picture
from harness.report.figures import all_figures, all_pictures, png
from harness.report.files import write_text
from harness.report.frames import Report
from harness.report.key_sentences import key_sentences
from harness.report.overfitting_words import study_table
from harness.report.setting_tables import group_table
from harness.report.study_words import answer, beginning, headline, lessons
from harness.report.table import Table

_VEGALITE = "application/vnd.vegalite.v5+json"


def write_notebook(
    findings: Findings, path: Path, selection: tuple[str, ...], arguments: Mapping[str, object]
) -> None:
    """Write a notebook whose first code cell reads the same selection again with these keyword arguments."""
    given = [f"{name}={value!r}" for name, value in arguments.items() if value is not None]
    call = ", ".join([*map(repr, selection), *given])
    sections = [
        f"**{for_markdown(title)}**\n\n" + "\n".join(f"- {for_markdown(sentence)}" for sentence in sentences)
        for title, sentences in key_sentences(findings).items()
    ]
    report = Report(findings)
    cells = [
        v4.new_markdown_cell("\n\n".join(["# Benchmark report", *sections])),
        v4.new_code_cell(f"import harness\n\nreport = harness.compare({call})"),
        v4.new_code_cell("report.configurations", outputs=[_table_output(report.configurations)]),
        v4.new_code_cell("report.overfitting", outputs=[_table_output(report.overfitting)]),
    ]
    for name, figure in all_figures(findings).items():
        cells.append(v4.new_markdown_cell(_caption(figure)))
        cells.append(v4.new_code_cell(f"report.charts[{name!r}]", outputs=[_chart(figure)]))
    for picture in all_pictures(findings).values():
        cells.append(v4.new_markdown_cell(_caption(picture)))
        source = f"from IPython.display import Image\n\nImage(report.pictures[{picture.name!r}])"
        cells.append(v4.new_code_cell(source, outputs=[_image({"image/png": picture.png})]))
    write_text(path, nbformat.writes(v4.new_notebook(cells=cells)) + "\n")


def _caption(figure: Figure | Picture) -> str:
    title = f"**{for_markdown(figure.title)}.** " if figure.title else ""
    return title + for_markdown(figure.caption)


def _table_output(frame: pd.DataFrame) -> Any:
    return v4.new_output("display_data", {"text/html": frame.to_html(), "text/plain": frame.to_string()})


def _chart(figure: Figure) -> Any:
    """The chart for viewers that draw Vega-Lite, and as a picture for all others."""
    spec = figure.chart.to_dict(validate=False) | {"config": CONFIG, "width": 480}
    return _image({_VEGALITE: spec, "image/png": png(figure)})


def _image(content: dict[str, Any]) -> Any:
    encoded = base64.b64encode(content["image/png"]).decode()
    return v4.new_output("display_data", content | {"image/png": encoded, "text/plain": "a chart"})


# What a notebook displays of findings: sentences, tables and a few charts, drawn, in one piece of HTML.

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
    from harness.report.study_page import study_figures

    return study_figures(study, "study")


def _charts(figures: "Callable[[], list[Figure]]") -> str:
    """The charts side by side; nothing without the extra ``report``."""
    try:
        from harness.report.figures import svg

        drawn = "".join(f"<div>{svg(figure, _WIDTH)}</div>" for figure in figures())
    except ImportError:
        return ""
    return f'<div style="display: flex; flex-wrap: wrap; gap: 16px">{drawn}</div>'
