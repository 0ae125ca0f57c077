"""The report as Markdown for a pull request: findings, one table a setting, pictures beside it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import vl_convert
from tabulate import tabulate

from harness.analysis.findings import Findings
from harness.report.chart_style import CONFIG
from harness.report.escaping import for_markdown
from harness.report.figures import Figure, all_figures
from harness.report.method import caveats, machines
from harness.report.tables import Table, overfitting_table, sides_table, study_table
from harness.report.words import (
    NOTHING_FOUND,
    SHOWN_SECTIONS,
    cut,
    headlines,
    kept_apart_sentence,
    left_out_sentence,
)

#: Worth a look in a pull request, of the setting with the most to tell: each takes a tenth of a second.
_PICTURES = ("time", "curves", "remedies")
_PICTURED_SECTIONS = 1
_WIDTH = 420
_MOST_NOTES = 40


def write_markdown(findings: Findings, path: Path) -> list[Path]:
    """Write the report and an SVG for each chart that it shows; the paths, the report first."""
    few = dataclasses.replace(findings, sections=findings.sections[:_PICTURED_SECTIONS])
    figures = [figure for figure in all_figures(few).values() if figure.name.endswith(_PICTURES)]
    pictures = {figure.name: path.with_name(f"{path.stem}-{figure.name}.svg") for figure in figures}
    for figure in figures:
        pictures[figure.name].write_text(_svg(figure), "utf-8")
    path.write_text("\n\n".join(_parts(findings, pictures)) + "\n", "utf-8")
    return [path, *pictures.values()]


def _svg(figure: Figure) -> str:
    config = CONFIG | {"background": "white", "font": "sans-serif"}
    spec = figure.chart.to_dict(validate=False) | {"config": config, "width": _WIDTH}
    svg: str = vl_convert.vegalite_to_svg(spec)
    return svg


def _parts(findings: Findings, pictures: dict[str, Path]) -> Iterator[str]:
    yield "# Benchmark report"
    if findings.sections:
        yield for_markdown("; ".join(machines(findings))) + "."
    told = headlines(findings)
    if not told:
        yield NOTHING_FOUND
    for question, answers in told.items():
        yield f"**{question}**"
        yield _list(answers)
    for number, study in enumerate(findings.studies, 1):
        yield f"## {for_markdown(f'Remedies for {study.study.kind}: {study.title}')}"
        yield from _shown(pictures, f"study-{number}")
        yield _table(study_table(study))
    for number, found in enumerate(findings.sections[:SHOWN_SECTIONS], 1):
        yield f"## {for_markdown(found.comparison.section.title)}"
        yield _table(sides_table(found.comparison))
        yield from _shown(pictures, f"comparison-{number}")
        if found.overfittings:
            yield _table(overfitting_table(found.overfittings))
    if (hidden := len(findings.sections) - SHOWN_SECTIONS) > 0:
        yield f"And {hidden} more settings; filters such as `task=cnn` show fewer at a time."
    notes = {
        "Beware": caveats(findings),
        "Left out": [*map(left_out_sentence, findings.left_out), *findings.unreadable],
        "Not compared": [*map(kept_apart_sentence, findings.kept_apart)],
    }
    for title, sentences in notes.items():
        if sentences:
            yield f"## {title}"
            yield _list(cut(sentences, _MOST_NOTES))


def _shown(pictures: dict[str, Path], prefix: str) -> Iterator[str]:
    names = [
        path.name.replace(" ", "%20") for name, path in pictures.items() if name.startswith(f"{prefix}-")
    ]
    if names:
        yield "\n".join(f"![{name.rpartition('-')[2].removesuffix('.svg')}]({name})" for name in names)


def _list(sentences: list[str]) -> str:
    """Sentences whose names between backticks become bold."""
    parts = [sentence.split("`") for sentence in sentences]
    return "\n".join(
        "- "
        + "".join(
            f"**{for_markdown(text)}**" if place % 2 else _kept(text) for place, text in enumerate(part)
        )
        for part in parts
    )


def _kept(text: str) -> str:
    """Escaped, with the spaces at its ends, which keep words apart from a name."""
    start = " " if text[:1] == " " else ""
    end = " " if text[-1:] == " " and text.strip() else ""
    return f"{start}{for_markdown(text)}{end}"


def _table(table: Table) -> str:
    rows = [[for_markdown(cell) for cell in row] for row in table.rows]
    headers = [for_markdown(header) for header in table.headers]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
