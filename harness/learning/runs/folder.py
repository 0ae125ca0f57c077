"""All charts, pictures and texts of a report of runs by name, and a folder with a file for each."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.core.documents.charts import png, slide, svg
from harness.core.documents.document import Figure, Passage, Picture
from harness.core.documents.escaping import with_lines
from harness.core.documents.files import fill_folder, write_bytes, write_text
from harness.learning.runs.charts import colours_of, group_figures
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.outcome_charts import group_pictures, sampled_passages
from harness.learning.runs.sentences import SHOWN_GROUPS, headline


class Slide(NamedTuple):
    """A chart with what its slide says: the answer to which it belongs, and the data and conditions."""

    figure: Figure
    takeaway: str
    data: str


def all_figures(findings: Findings) -> dict[str, Figure]:
    """Draw every chart of the groups that are shown and of the further sections, by name."""
    return {each.figure.name: each.figure for each in all_slides(findings)}


def all_slides(findings: Findings) -> Iterator[Slide]:
    """Draw every chart that is shown, each with the headline and the title of its group or section."""
    colours = colours_of(findings)
    for prefix, group in _shown_groups(findings):
        takeaway, data = headline(group.comparison), group.comparison.group.title
        for figure in group_figures(group, prefix, colours, findings.results):
            yield Slide(figure, takeaway, data)
    for number, section in enumerate(findings.sections, 1):
        shown = section.figures(f"{section.prefix}-{number}")
        charts = [each for each in shown if isinstance(each, Figure)]
        yield from (Slide(chart, section.takeaway, section.title) for chart in charts)


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
    """Write every chart as SVG, PNG and PDF, every picture as PNG, and every text.

    PDFs are slides: each says what its chart shows, and of which data.
    """
    fill_folder(folder)
    for each in all_slides(findings):
        name = each.figure.name
        write_text(folder / f"{name}.svg", svg(each.figure), named=False)
        write_bytes(folder / f"{name}.png", png(each.figure), named=False)
        write_bytes(folder / f"{name}.pdf", slide(*each), named=False)
    for name, picture in all_pictures(findings).items():
        write_bytes(folder / f"{name}.png", picture.png, named=False)
    for passage in all_passages(findings):
        text = "\n\n".join([passage.caption, *map(with_lines, passage.texts)])
        write_text(folder / f"{passage.name}.txt", f"{text}\n", named=False)
