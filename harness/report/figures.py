"""Which charts a report shows, in what order, and how each is to be read."""

from typing import NamedTuple

import altair as alt

from harness.analysis.findings import Findings, SectionFindings
from harness.analysis.study_effects import StudyFinding
from harness.report.chart_parts import unchecked
from harness.report.charts import (
    MOST_POINTS,
    Colours,
    gap_curves,
    learning_curves,
    phase_bars,
    remedy_changes,
    side_colours,
    step_distribution,
    time_against_quality,
)
from harness.report.words import SHOWN_SECTIONS


class Figure(NamedTuple):
    """A chart with a name for files and ids, and a caption that says how to read it."""

    name: str
    caption: str
    chart: alt.LayerChart


@unchecked
def section_figures(found: SectionFindings, prefix: str, colours: Colours) -> list[Figure]:
    """Every chart that one setting has the data for."""
    comparison, read = found.comparison, found.overfittings
    quality = f"Test {comparison.measure.name}"
    curves = "Scores after each epoch, mean over seeds; the band is the 95 % interval of each epoch's mean."
    steps = "Step time over the blocks of all runs: 5 to 95 %, quartiles, median."
    made = {
        "time": (
            f"{quality} against training time: mean, 95 % interval; dots: runs, up to {MOST_POINTS} a side.",
            time_against_quality(comparison, colours),
        ),
        "curves": (curves, learning_curves(read, colours)),
        "steps": (steps, step_distribution(comparison, colours)),
        "phases": ("Where the time of a run went, mean seconds.", phase_bars(comparison)),
        "gap": ("Generalisation gap after each epoch, with its 95 % band.", gap_curves(read, colours)),
    }
    return [
        Figure(f"{prefix}-{name}", text, chart) for name, (text, chart) in made.items() if chart is not None
    ]


def colours_of(findings: Findings) -> Colours:
    """A colour for each side, in the order in which the report first tells of it."""
    return side_colours(side.side.name for found in findings.sections for side in found.comparison.sides)


def all_figures(findings: Findings) -> dict[str, Figure]:
    """Every chart of the settings that are told in full and of the studies, by name."""
    colours = colours_of(findings)
    figures = [
        figure
        for number, found in enumerate(findings.sections[:SHOWN_SECTIONS], 1)
        for figure in section_figures(found, f"setting-{number}", colours)
    ]
    figures += [study_figure(study, f"study-{number}") for number, study in enumerate(findings.studies, 1)]
    return {figure.name: figure for figure in figures}


@unchecked
def study_figure(found: StudyFinding, prefix: str) -> Figure:
    """What each remedy of a study changes."""
    against = found.effects[0].variant.name
    intervals = "95 % intervals for all remedies together"
    better = "above" if found.measure.higher_is_better else "below"
    caption = f"Change against {against}, same seeds, {intervals}; better: test {better} 0, gap below 0."
    return Figure(f"{prefix}-remedies", caption, remedy_changes(found))
