"""Charts, pictures and texts outside a page: as SVG and PNG, and a folder with all of a report."""

from pathlib import Path
from typing import Any

import vl_convert

from harness.analysis.findings import Findings
from harness.report.chart_style import CONFIG
from harness.report.figure import Figure
from harness.report.figures import all_figures, all_passages, all_pictures
from harness.report.files import write_bytes, write_text

#: Width of a chart in pixels, and how many pixels of a PNG each of them becomes.
_WIDTH = 480
_SCALE = 2


def specification(figure: Figure, width: int = _WIDTH) -> dict[str, Any]:
    """The chart as Vega-Lite, on white and in a font that every system has."""
    config = CONFIG | {"background": "white", "font": "sans-serif"}
    title = {"title": {"text": figure.title, "anchor": "start", "fontSize": 14}} if figure.title else {}
    spec: dict[str, Any] = figure.chart.to_dict(validate=False)
    return spec | {"config": config, "width": width} | title


def svg(figure: Figure, width: int = _WIDTH) -> str:
    """The chart as SVG."""
    drawn: str = vl_convert.vegalite_to_svg(specification(figure, width))
    return drawn


def png(figure: Figure, width: int = _WIDTH) -> bytes:
    """The chart as PNG, with two pixels for each of SVG."""
    drawn: bytes = vl_convert.vegalite_to_png(specification(figure, width), scale=_SCALE)
    return drawn


def write_folder(findings: Findings, folder: Path) -> list[Path]:
    """Write every chart as SVG and PNG and every picture as PNG, and every text; the paths.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    paths = []
    for figure in all_figures(findings).values():
        paths += [folder / f"{figure.name}.svg", folder / f"{figure.name}.png"]
        write_text(paths[-2], svg(figure))
        write_bytes(paths[-1], png(figure))
    for picture in all_pictures(findings).values():
        paths.append(folder / f"{picture.name}.png")
        write_bytes(paths[-1], picture.png)
    for passage in all_passages(findings):
        paths.append(folder / f"{passage.name}.txt")
        write_text(paths[-1], "\n\n".join([passage.caption, *passage.texts]) + "\n")
    return paths
