"""The report as a notebook: findings as text, charts as outputs, and the calls that make them again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

from harness.analysis.findings import Findings
from harness.report.chart_style import CONFIG
from harness.report.escaping import for_markdown
from harness.report.figures import all_figures
from harness.report.words import headlines

_VEGALITE = "application/vnd.vegalite.v5+json"


def write_notebook(
    findings: Findings, path: Path, selection: tuple[str, ...], settings: Mapping[str, object]
) -> None:
    """Write a notebook whose first cell reads the same selection again, with these settings of it."""
    given = [f"{name}={value!r}" for name, value in settings.items() if value is not None]
    call = ", ".join([*map(repr, selection), *given])
    told = [f"**{question}**\n\n{_lines(answers)}" for question, answers in headlines(findings).items()]
    cells = [
        v4.new_markdown_cell("# Benchmark report\n\n" + "\n\n".join(told)),
        v4.new_code_cell(f"import harness\n\nreport = harness.compare({call})\nreport"),
        v4.new_code_cell("report.sides"),
        v4.new_code_cell("report.overfitting"),
    ]
    for name, figure in all_figures(findings).items():
        cells.append(v4.new_markdown_cell(for_markdown(figure.caption)))
        cells.append(v4.new_code_cell(f"report.charts[{name!r}]", outputs=[_output(figure.chart)]))
    nbformat.write(v4.new_notebook(cells=cells), path)


def _output(chart: Any) -> Any:
    spec = chart.to_dict(validate=False) | {"config": CONFIG, "width": 480}
    return v4.new_output("display_data", {_VEGALITE: spec, "text/plain": "a chart"})


def _lines(sentences: list[str]) -> str:
    return "\n".join(f"- {for_markdown(sentence.replace('`', ''))}" for sentence in sentences)
