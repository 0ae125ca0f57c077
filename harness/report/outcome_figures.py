"""The figures of what the networks of a group made of the test samples, and the pictures of generators."""

from pathlib import Path

from harness.analysis.findings import GroupFindings
from harness.report.chart_parts import Colours
from harness.report.escaping import with_lines
from harness.report.figure import Figure, Passage, Picture
from harness.report.outcome_charts import (
    confusion_chart,
    examples_chart,
    forecast_chart,
    outcomes_of,
    recall_chart,
)
from harness.report.sampled_words import sampling
from harness.report.stored_pictures import read_png
from harness.runs.record import Record
from harness.runs.store import RUNS

#: Configurations whose texts are shown.
_MOST_PASSAGES = 4


def outcome_figures(
    group: GroupFindings, prefix: str, colours: Colours, results: Path | None
) -> list[Figure]:
    """Recall, confusions, sample predictions and forecasts, of test samples at the best epoch."""
    comparison = group.comparison
    configurations = [summary.configuration for summary in comparison.summaries]
    first = next((each for each in configurations if outcomes_of(each)), configurations[0])
    found = outcomes_of(first)
    who = f" of {first.name}" if len(comparison.summaries) > 1 else ""
    runs = f"{len(first.runs)} run{'s' * (len(first.runs) != 1)}"
    charts = {
        "recall": (
            "Recall of each class",
            "Share of a class's test samples that is recognised, at the best epoch. Ticks: mean; dots: runs.",
            recall_chart(comparison, colours),
        ),
        "confusion": (
            f"Confusions{who}",
            f"Of the test samples of each class, the share (%) that is taken for each class; {runs}.",
            confusion_chart(first),
        ),
        "examples": (
            f"Sample predictions{who}",
            "Test samples: the surest mistakes (✗), then right answers (✓), and how sure the network is.",
            examples_chart(*found, results / RUNS.folder if results else None) if found else None,
        ),
        "forecast": (
            "Forecast and truth",
            "Test data; first seed of each. Dotted: the naive forecast, which repeats the last value.",
            forecast_chart(comparison, colours),
        ),
    }
    return [
        Figure(f"{prefix}-{name}", caption, chart, title)
        for name, (title, caption, chart) in charts.items()
        if chart is not None
    ]


def group_pictures(group: GroupFindings, prefix: str, results: Path | None) -> list[Picture]:
    """Generated samples of the first run of the first configuration whose files are in the results folder."""
    if results is None:
        return []
    for summary in group.comparison.summaries:
        for run in summary.configuration.runs:
            if pictures := _generated(run.record, prefix, results / RUNS.folder):
                return pictures
    return []


def sampled_passages(group: GroupFindings, prefix: str) -> list[Passage]:
    """Texts of the first run of each configuration that has some."""
    comparison = group.comparison
    found = [outcomes_of(summary.configuration) for summary in comparison.summaries]
    sampled = [(run.record, seen.sampled) for run, seen in filter(None, found) if seen.sampled is not None]
    return [
        Passage(
            f"{prefix}-texts-{number}",
            f"{record.label}, seed {record.seed}, epoch {record.best_epoch}. {sampling(texts)}.",
            [with_lines(text) for text in texts.texts],
            "Sampled text",
        )
        for number, (record, texts) in enumerate(sampled[:_MOST_PASSAGES], 1)
    ]


def _generated(record: Record, prefix: str, folder: Path) -> list[Picture]:
    who = f"{record.label}, seed {record.seed}"
    course = record.pictures.course_epochs
    files = (
        (
            "samples-best",
            record.samples_file,
            "Samples of the best epoch",
            f"{who}, epoch {record.best_epoch}.",
        ),
        (
            "samples-last",
            record.pictures.last_samples,
            "Samples of the last epoch",
            f"{who}, epoch {record.epochs[-1].epoch if record.epochs else record.epochs_asked}.",
        ),
        (
            "samples-course",
            record.pictures.course if len(course) > 1 else None,
            "The same samples over the epochs",
            f"{who}. Rows from top to bottom: epochs {', '.join(map(str, course))}.",
        ),
    )
    return [
        Picture(f"{prefix}-{kind}", caption, png, title)
        for kind, name, title, caption in files
        if name is not None and (png := read_png(folder, name)) is not None
    ]
