"""The report as a notebook: findings as text, charts as outputs, and the calls that reproduce them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

from harness.analysis.findings import Findings
from harness.report.chart_style import CONFIG
from harness.report.escaping import for_markdown
from harness.report.figures import all_figures
from harness.report.key_sentences import key_sentences

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
    cells = [
        v4.new_markdown_cell("\n\n".join(["# Benchmark report", *sections])),
        v4.new_code_cell(f"import harness\n\nreport = harness.compare({call})\nreport"),
        v4.new_code_cell("report.configurations"),
        v4.new_code_cell("report.overfitting"),
    ]
    for name, figure in all_figures(findings).items():
        cells.append(v4.new_markdown_cell(for_markdown(figure.caption)))
        cells.append(v4.new_code_cell(f"report.charts[{name!r}]", outputs=[_output(figure.chart)]))
    nbformat.write(v4.new_notebook(cells=cells), path)


def _output(chart: Any) -> Any:
    spec = chart.to_dict(validate=False) | {"config": CONFIG, "width": 480}
    return v4.new_output("display_data", {_VEGALITE: spec, "text/plain": "a chart"})
