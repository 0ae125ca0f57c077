"""Which charts a report shows, in what order, and how each is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from harness.analysis.comparison import Comparison
from harness.analysis.findings import Findings, GroupFindings
from harness.analysis.overfit import Overfitting
from harness.report.charts import (
    CONFIG,
    FRAME_HEIGHT,
    GREY,
    MOST_POINTS,
    NAME_AXIS,
    ROW_HEIGHT,
    Colours,
    Row,
    colour_of_rows,
    configuration_colours,
    ends,
    layered,
    phase_bars,
    step_distribution,
    time_against_quality,
    tips,
    unchecked,
)
from harness.report.curve_charts import (
    coincidences,
    gap_curves,
    learning_curves,
    loss_curves,
    loss_lines,
    score_lines,
)
from harness.report.figure import Figure, Passage, Picture, reading
from harness.report.files import write_bytes, write_text
from harness.report.numbers import time_ratio
from harness.report.outcome_charts import group_pictures, outcome_figures, sampled_passages
from harness.report.study_page import study_figures
from harness.report.tables import relative_times
from harness.report.words import SHOWN_GROUPS

# The chart of relative step times, for Markdown and notebooks. The page draws its own.


def relative_step_times(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """The step time of each configuration relative to the fastest, with intervals, on a logarithmic axis."""
    times = relative_times(comparison)
    if times is None:
        return None
    rows: list[Row] = [
        {
            "configuration": row.configuration,
            **ends(row.ratio, "ratio"),
            "relative": time_ratio(row.ratio) if row.quality else "reference",
            "quality": row.quality or "reference",
        }
        for row in times.rows
        if row.ratio is not None
    ]
    ticks = times.ticks
    labels = ", ".join(f'"{tick}": "{label}"' for tick, label in ticks.items())
    axis = alt.Axis(values=list(ticks), labelExpr=f"({{{labels}}})[datum.value]")
    scale = alt.Scale(type="log", domain=[times.low, times.high], nice=False)
    x = alt.X(
        "ratio:Q",
        title=f"step time relative to {times.rows[0].configuration} (log scale)",
        axis=axis,
        scale=scale,
    )
    y = alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS)
    colour = colour_of_rows(rows, colours, None)
    tip = tips("configuration:N", ("relative:N", "step time"), ("quality:N", comparison.measure.name))
    data = alt.Chart()
    reference = alt.Chart(alt.InlineData(values=[{"ratio": 1}]))
    return layered(
        rows,
        reference.mark_rule(strokeDash=[4, 4], color=GREY).encode(x=x),
        data.mark_rule(strokeWidth=2).encode(
            x=alt.X("ratio low:Q"), x2=alt.X2("ratio high:Q"), y=y, color=colour
        ),
        data.mark_point(filled=True, opacity=1, size=90).encode(x=x, y=y, color=colour, tooltip=tip),
        height=FRAME_HEIGHT + ROW_HEIGHT * len(rows),
    )


_MARKED = "Diamond: best epoch (lowest validation loss). Dotted line: overfitting begins."
#: Title, caption and chart.
_Described = tuple[str, str, alt.LayerChart | None]


@unchecked
def group_figures(
    group: GroupFindings,
    prefix: str,
    colours: Colours,
    results: Path | None = None,
    *,
    relative: bool = True,
) -> list[Figure]:
    """Every chart that one group of runs has the data for; the page draws the ``relative`` one itself.

    Pictures of sample predictions are in the folder ``results``.
    """
    comparison, curves = group.comparison, group.overfittings
    quality = comparison.measure.name
    charts = _curve_figures(curves, colours) | {
        "relative": (
            "Relative step time",
            "Ratio to the fastest configuration with its 95 % interval.",
            relative_step_times(comparison, colours) if relative else None,
        ),
        "time": (
            f"Test {quality} and training time",
            f"Diamonds: mean with 95 % intervals. Dots: runs, up to {MOST_POINTS} per configuration.",
            time_against_quality(comparison, colours),
        ),
        "steps": (
            "Step time",
            "Blocks of a run: 5th to 95th percentile, quartiles, median; geometric means over runs.",
            None if comparison.group.is_of_settings else step_distribution(comparison, colours),
        ),
        "phases": ("Phases of a run", "Arithmetic mean over runs.", phase_bars(comparison)),
    }
    figures = [
        Figure(f"{prefix}-{name}", caption, chart, title)
        for name, (title, caption, chart) in charts.items()
        if chart is not None
    ]
    return figures + outcome_figures(group, prefix, colours, results)


def _curve_figures(curves: Sequence[Overfitting], colours: Colours) -> dict[str, _Described]:
    """Losses beside scores, and the gap."""
    if not curves:
        return {}
    seeds = max(len(curve.configuration.runs) for curve in curves)
    how = reading(seeds)
    title = "Loss of generator and discriminator" if curves[0].adversarial else "Loss"
    marked = "" if curves[0].adversarial else f" {_MARKED}"
    return {
        "loss": (
            title,
            " ".join([f"After each epoch. {how}{marked}", *coincidences(loss_lines(curves))]),
            loss_curves(curves, colours),
        ),
        "curves": (
            "Classified as real" if curves[0].adversarial else curves[0].measure.name.capitalize(),
            " ".join([f"After each epoch. {how}", *coincidences(score_lines(curves))]),
            learning_curves(curves, colours),
        ),
        "gap": (
            "Generalisation gap",
            f"Difference between training and validation score after each epoch. {how}",
            gap_curves(curves, colours),
        ),
    }


def colours_of(findings: Findings) -> Colours:
    """A colour for each configuration, in the order in which the report first shows it."""
    return configuration_colours(
        summary.name for group in findings.groups for summary in group.comparison.summaries
    )


def all_figures(findings: Findings) -> dict[str, Figure]:
    """Every chart of the groups that are shown and of the studies, by name."""
    colours = colours_of(findings)
    figures = [
        figure
        for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1)
        for figure in group_figures(group, f"comparison-{number}", colours, findings.results)
    ]
    for number, study in enumerate(findings.studies, 1):
        figures += study_figures(study, f"study-{number}")
    return {figure.name: figure for figure in figures}


def all_pictures(findings: Findings) -> dict[str, Picture]:
    """Every picture of the groups that are shown, by name."""
    pictures = [
        picture
        for number, group in enumerate(findings.groups[:SHOWN_GROUPS], 1)
        for picture in group_pictures(group, f"comparison-{number}", findings.results)
    ]
    return {picture.name: picture for picture in pictures}


def all_passages(findings: Findings) -> list[Passage]:
    """Every sampled text of the groups that are shown."""
    groups = enumerate(findings.groups[:SHOWN_GROUPS], 1)
    return [
        passage for number, group in groups for passage in sampled_passages(group, f"comparison-{number}")
    ]


# Charts, pictures and texts outside a page: as SVG and PNG, and a folder with all of a report.

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
