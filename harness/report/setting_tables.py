"""Settings of a training as a table, the best by validation first."""

from harness.analysis.axes import text_on_axis
from harness.analysis.comparison import Comparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.findings import GroupFindings
from harness.report.numbers import NOTHING, estimate, score_digits
from harness.report.setting_words import bound_text, has_scores
from harness.report.table import Cell, Table
from harness.report.tables import (
    VERDICT_TONES,
    comparison_legend,
    comparison_table,
    score_header,
    time_of,
    time_to_target,
)
from harness.stats.estimate import Estimate

_REFERENCE = Cell("reference", "muted", 0.0)


def group_table(group: GroupFindings) -> Table:
    """The table of one group: of settings by quality, of other configurations by speed."""
    if group.comparison.group.is_of_settings:
        return settings_table(group.comparison)
    return comparison_table([group])


def settings_table(comparison: Comparison) -> Table:
    """A row for each setting: its score, how it compares with the best, and when it reaches the target."""
    measure = comparison.measure
    unit = f" ({measure.unit})" if measure.unit else ""
    headers = [
        ", ".join(comparison.group.axes),
        "seeds",
        score_header(measure),
        f"difference{unit}",
        "quality",
    ]
    if comparison.target is not None:
        headers += [f"epochs to validation {bound_text(comparison)}", "time to it (s)"]
    headers.append("training (s)")
    rows = [_row(comparison, summary) for summary in comparison.summaries]
    order = f", best validation {measure.name} first" if has_scores(comparison) else ""
    title = f"Settings{order}: mean [95 % interval from 3 seeds on]"
    return Table(headers, rows, title, comparison_legend([comparison]))


def _row(comparison: Comparison, summary: ConfigurationSummary) -> list[Cell | str]:
    configuration, axes = summary.configuration, comparison.group.axes
    name = ", ".join(map(text_on_axis, axes, configuration.values))
    row: list[Cell | str] = [name, str(len(configuration.runs))]
    row.append(estimate(summary.quality, score_digits(comparison.measure)))
    row += _quality(comparison, summary)
    if comparison.target is not None:
        row += [_epochs(summary), time_to_target(summary)]
    return [*row, time_of(summary, summary.training_seconds)]


def _quality(comparison: Comparison, summary: ConfigurationSummary) -> list[Cell | str]:
    """The difference from the best setting on the same seeds, and the verdict."""
    if not comparison.pairs:
        return [NOTHING, Cell("not certified", "bad") if len(comparison.summaries) > 1 else NOTHING]
    pair = comparison.pair_of(summary)
    if pair is None:
        return [_REFERENCE, _REFERENCE]
    difference: Estimate | None = pair.quality.difference
    if difference is None:
        return [NOTHING, NOTHING]
    text = estimate(difference, score_digits(comparison.measure), sign=True)
    verdict = pair.quality_verdict
    return [Cell(text, "", difference.value), Cell(verdict, VERDICT_TONES.get(verdict, ""))]


def _epochs(summary: ConfigurationSummary) -> str:
    target = summary.to_target
    if target is None or target.epochs is None:
        return NOTHING
    return estimate(target.epochs, 0 if target.reached > 1 else None)
