"""Which charts a report shows, in what order, and how each is read."""

from typing import NamedTuple

import altair as alt

from harness.analysis.findings import Findings, GroupFindings
from harness.analysis.study_effects import StudyFinding
from harness.report.chart_parts import Colours, configuration_colours, unchecked
from harness.report.charts import MOST_POINTS, phase_bars, step_distribution, time_against_quality
from harness.report.curve_charts import gap_curves, learning_curves
from harness.report.relative_chart import relative_step_times
from harness.report.study_chart import remedy_changes
from harness.report.words import SHOWN_GROUPS


class Figure(NamedTuple):
    """A chart; ``name`` serves for files and ids, ``caption`` says how to read it."""

    name: str
    caption: str
    chart: alt.LayerChart
    title: str = ""


@unchecked
def group_figures(
    group: GroupFindings, prefix: str, colours: Colours, *, relative: bool = True
) -> list[Figure]:
    """Every chart that one group of runs has the data for; the page draws the ``relative`` one itself."""
    comparison, curves = group.comparison, group.overfittings
    quality = comparison.measure.name
    charts = {
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
            "All blocks of all runs: 5th to 95th percentile, quartiles, median.",
            step_distribution(comparison, colours),
        ),
        "phases": ("Phases of a run", "Mean seconds per run.", phase_bars(comparison)),
        "curves": (
            "Learning curves",
            "Mean over seeds after each epoch. Bands: 95 % interval of each epoch's mean.",
            learning_curves(curves, colours),
        ),
        "gap": (
            "Generalisation gap",
            "Difference between training and held-out score after each epoch, with its 95 % interval.",
            gap_curves(curves, colours),
        ),
    }
    return [
        Figure(f"{prefix}-{name}", caption, chart, title)
        for name, (title, caption, chart) in charts.items()
        if chart is not None
    ]


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
        for figure in group_figures(group, f"comparison-{number}", colours)
    ]
    figures += [study_figure(study, f"study-{number}") for number, study in enumerate(findings.studies, 1)]
    return {figure.name: figure for figure in figures}


@unchecked
def study_figure(study: StudyFinding, prefix: str) -> Figure:
    """How each remedy of a study changes score and gap."""
    reference = study.effects[0].variant.name
    better = "above" if study.measure.higher_is_better else "below"
    caption = (
        f"Difference from {reference} on the same seeds, with 95 % intervals that hold for all remedies "
        f"together. A test score {better} 0 and a gap below 0 are better."
    )
    return Figure(f"{prefix}-remedies", caption, remedy_changes(study), "Effect of each remedy")
