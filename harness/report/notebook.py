"""The report as a notebook: findings as text, charts as outputs, and the calls that reproduce them."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import v4

from harness.analysis.findings import Findings
from harness.report.chart_style import CONFIG
from harness.report.escaping import for_markdown
from harness.report.figure import Figure, Picture
from harness.report.figures import all_figures, all_pictures
from harness.report.files import write_text
from harness.report.frames import Report
from harness.report.key_sentences import key_sentences
from harness.report.rendering import png

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
        v4.new_code_cell("report.configurations", outputs=[_table(report.configurations)]),
        v4.new_code_cell("report.overfitting", outputs=[_table(report.overfitting)]),
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


def _table(frame: pd.DataFrame) -> Any:
    return v4.new_output("display_data", {"text/html": frame.to_html(), "text/plain": frame.to_string()})


def _chart(figure: Figure) -> Any:
    """The chart for viewers that draw Vega-Lite, and as a picture for all others."""
    spec = figure.chart.to_dict(validate=False) | {"config": CONFIG, "width": 480}
    return _image({_VEGALITE: spec, "image/png": png(figure)})


def _image(content: dict[str, Any]) -> Any:
    encoded = base64.b64encode(content["image/png"]).decode()
    return v4.new_output("display_data", content | {"image/png": encoded, "text/plain": "a chart"})
