"""All charts, pictures and texts of a report of runs by name, and a folder with a file for each."""

from collections.abc import Iterator
from pathlib import Path

from harness.core.documents.charts import png, svg
from harness.core.documents.document import Figure, Passage, Picture
from harness.core.documents.escaping import with_lines
from harness.core.documents.files import fill_folder, write_bytes, write_text
from harness.learning.runs.charts import colours_of, group_figures
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.outcome_charts import group_pictures, sampled_passages
from harness.learning.runs.sentences import SHOWN_GROUPS


def all_figures(findings: Findings) -> dict[str, Figure]:
    """Draw every chart of the groups that are shown and of the further sections, by name."""
    colours = colours_of(findings)
    figures = [
        figure
        for prefix, group in _shown_groups(findings)
        for figure in group_figures(group, prefix, colours, findings.results)
    ]
    for number, section in enumerate(findings.sections, 1):
        shown = section.figures(f"{section.prefix}-{number}")
        figures += [each for each in shown if isinstance(each, Figure)]
    return {figure.name: figure for figure in figures}


def all_pictures(findings: Findings) -> dict[str, Picture]:
    """Return every picture of the groups that are shown, by name."""
    pictures = [
        picture
        for prefix, group in _shown_groups(findings)
        for picture in group_pictures(group, prefix, findings.results)
    ]
    return {picture.name: picture for picture in pictures}


def all_passages(findings: Findings) -> list[Passage]:
    """Return every sampled text of the groups that are shown."""
    return [
        passage for prefix, group in _shown_groups(findings) for passage in sampled_passages(group, prefix)
    ]


def _shown_groups(findings: Findings) -> Iterator[tuple[str, GroupFindings]]:
    for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1):
        yield f"comparison-{number}", group


def write_folder(findings: Findings, folder: Path) -> None:
    """Write every chart as SVG and PNG, every picture as PNG, and every text."""
    fill_folder(folder)
    for name, figure in all_figures(findings).items():
        write_text(folder / f"{name}.svg", svg(figure), named=False)
        write_bytes(folder / f"{name}.png", png(figure), named=False)
    for name, picture in all_pictures(findings).items():
        write_bytes(folder / f"{name}.png", picture.png, named=False)
    for passage in all_passages(findings):
        text = "\n\n".join([passage.caption, *map(with_lines, passage.texts)])
        write_text(folder / f"{passage.name}.txt", f"{text}\n", named=False)
