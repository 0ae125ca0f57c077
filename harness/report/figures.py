"""Which charts a report shows, in what order, and how each is read."""

from collections.abc import Sequence
from pathlib import Path

import altair as alt

from harness.analysis.findings import Findings, GroupFindings
from harness.analysis.overfit import Overfitting
from harness.report.chart_parts import Colours, configuration_colours, unchecked
from harness.report.charts import MOST_POINTS, phase_bars, step_distribution, time_against_quality
from harness.report.curve_charts import gap_curves, learning_curves, loss_curves, loss_lines, score_lines
from harness.report.curve_layers import coincidences
from harness.report.figure import Figure, Passage, Picture, reading
from harness.report.outcome_figures import group_pictures, outcome_figures, sampled_passages
from harness.report.relative_chart import relative_step_times
from harness.report.study_figures import study_figures
from harness.report.words import SHOWN_GROUPS

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
