"""Comparisons and runs as tables, each configuration in a row, the reference first."""

from collections.abc import Sequence

from harness.core.documents.document import Cell, Row, Table, Tone, table_of
from harness.core.documents.numbers import (
    BUSY_LEGEND,
    FEW_SEEDS_LEGEND,
    NOTHING,
    RATIO_LEGEND,
    busy_mark,
    estimate,
    score_digits,
    score_unit,
    significant,
    time_ratio,
)
from harness.core.machine.quantities import shown
from harness.core.runs.fields import text_on_axis
from harness.core.stats.estimate import Estimate
from harness.core.training.measures import Measure
from harness.learning.runs.comparison import Comparison, PairComparison
from harness.learning.runs.configuration_summary import ConfigurationSummary
from harness.learning.runs.findings import GroupFindings
from harness.learning.runs.quality_text import bound_text, ordering_score
from harness.learning.runs.run_curves import Run
from harness.learning.runs.sentences import UNRELIABLE

_TITLE = "Configurations by step time: mean [95 % interval from 3 seeds on]"
#: How the columns of every comparison are defined.
_STEP = "Step time: after the warm-up."
_SCORES = "Test scores are those after the last epoch."
_TRAINING = "Training: all steps with the first one, without import, build and scoring."
#: How a page colours verdicts on quality.
VERDICT_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "undecided": "unsure"}


def comparison_table(groups: Sequence[GroupFindings]) -> Table:
    """Return the configurations of one or several groups, fastest first, with speed and quality.

    A column states the conditions if there are several groups; speed and quality are relative, and have a
    column each, if any group has several configurations.
    """
    comparisons = [group.comparison for group in groups]
    measures = {comparison.measure for comparison in comparisons}
    several = len(comparisons) > 1
    compared = any(len(comparison.summaries) > 1 for comparison in comparisons)
    score = score_header(next(iter(measures))) if len(measures) == 1 else "test score"
    rows = []
    for comparison in comparisons:
        for summary in comparison.summaries:
            ratio, quality = _relative(comparison, summary)
            row = {
                "conditions": comparison.group.title if several else None,
                "configuration": summary.name,
                "seeds": str(len(summary.configuration.runs)),
                "relative step time": ratio if compared else None,
                "step (ms)": time_of(summary, summary.step_seconds and summary.step_seconds.scaled(1e3)),
                "training (s)": time_of(summary, summary.training_seconds),
                score: _score(summary, comparison.measure, named=len(measures) > 1),
                "quality": quality if compared else None,
            }
            rows.append(row)
    return table_of(rows, _TITLE, legend=comparison_legend(comparisons))


def comparison_legend(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Explain the columns of these comparisons."""
    ratios = any(map(has_ratios, comparisons))
    summaries = [summary for comparison in comparisons for summary in comparison.summaries]
    busy = any(summary.disturbed for summary in summaries)
    of_settings = all(comparison.group.is_of_settings for comparison in comparisons)
    steps = not of_settings and any(summary.step_seconds for summary in summaries)
    few = any(summary.has_too_few_seeds for summary in summaries)
    return (
        *[RATIO_LEGEND] * ratios,
        *[_STEP] * steps,
        *[_TRAINING] * any(summary.training_seconds for summary in summaries),
        _SCORES,
        *[FEW_SEEDS_LEGEND] * few,
        *[BUSY_LEGEND] * busy,
    )


def has_ratios(comparison: Comparison) -> bool:
    """Check whether times are compared; those of settings are not."""
    return bool(comparison.pairs) and not comparison.group.is_of_settings


def time_of(summary: ConfigurationSummary, seconds: Estimate | None) -> Cell | None:
    """Write a time of a configuration's runs, marked if other programs used the machine; None without it."""
    return _timed(estimate(seconds, None), disturbed=summary.disturbed)


def _timed(text: str, *, disturbed: bool | None) -> Cell | None:
    """Return the cell of a time; None where nothing was judged: then no column is of use."""
    return None if text == NOTHING else Cell(busy_mark(text, disturbed=disturbed))


def score_header(measure: Measure) -> str:
    """Write ``test accuracy (%)``."""
    return f"test {_measured(measure)}"


def _measured(measure: Measure) -> str:
    """Write ``accuracy (%)``."""
    return f"{measure.name} ({score_unit(measure)})" if score_unit(measure) else measure.name


def _score(summary: ConfigurationSummary, measure: Measure, *, named: bool) -> str:
    score = estimate(summary.quality, score_digits(measure))
    return f"{score} {score_unit(measure) or measure.name}" if named and score != NOTHING else score


def _relative(comparison: Comparison, summary: ConfigurationSummary) -> tuple[Cell | str, Cell | str]:
    """Write the step time, or the test score of a setting, relative to the reference, and the verdict."""
    if len(comparison.summaries) == 1:
        return NOTHING, NOTHING
    if not comparison.pairs:
        return NOTHING, Cell("different work" if comparison.different else "not certified", "bad")
    pair, of_settings = comparison.pair_of(summary), comparison.group.is_of_settings
    if pair is None:
        reference = Cell("reference", "muted", 0.0 if of_settings else 1.0)
        return reference, reference
    if not of_settings:
        return _ratio_cell(pair.ratio, unreliable=pair.speed_verdict == UNRELIABLE), _verdict_cell(pair)
    difference = pair.quality.difference
    text = estimate(difference, score_digits(comparison.measure), sign=True)
    return Cell(text, "", difference.value if difference else None), _verdict_cell(pair)


def _verdict_cell(pair: PairComparison) -> Cell:
    verdict = NOTHING if pair.quality.difference is None else pair.quality_verdict
    return Cell(verdict, VERDICT_TONES.get(verdict, ""))


def _ratio_cell(ratio: Estimate | None, *, unreliable: bool) -> Cell:
    """Write a ratio of times, sorted by its value, marked if its times are unreliable."""
    text = f"{time_ratio(ratio)}, {UNRELIABLE}" if unreliable else time_ratio(ratio)
    return Cell(text, "unsure" if unreliable else "", ratio.value if ratio else None)


def details_table(comparison: Comparison) -> Table:
    """Return throughput, time to the target and memory, a row for each configuration."""
    bound = "" if comparison.target is None else bound_text(comparison)
    until = f"time to validation {comparison.measure.name} {bound} (s)"
    quantities = shown(summary.measured for summary in comparison.summaries)
    rows = []
    for summary in comparison.summaries:
        row = {
            "configuration": summary.name,
            "samples/s": _timed(significant(summary.samples_per_second), disturbed=summary.disturbed),
            until: time_to_target(summary),
            **{quantity.heading: quantity.text(summary.measured) for quantity in quantities},
        }
        rows.append(row)
    return table_of(rows, "Throughput and memory")


def time_to_target(summary: ConfigurationSummary) -> Cell | str | None:
    """Write the seconds to the target, and how many runs reached it if not all did; None without times."""
    target = summary.to_target
    if target is None or summary.training_seconds is None:
        return None
    if not target.reached:
        return "not reached"
    cell = time_of(summary, target.seconds)
    if cell is None or target.reached == target.of:
        return cell
    return cell._replace(text=f"{cell.text}, by {target.reached} of {target.of} runs")


def phases_table(comparison: Comparison) -> Table:
    """Return the mean seconds of each phase of a run, a row for each configuration."""
    names = list(dict.fromkeys(name for summary in comparison.summaries for name in summary.phases))
    rows: list[Row] = []
    for summary in comparison.summaries:
        seconds = {f"{name} (s)": significant(summary.phases.get(name)) for name in names}
        marked = {name: busy_mark(text, disturbed=summary.disturbed) for name, text in seconds.items()}
        rows.append({"configuration": summary.name, **marked})
    return table_of(rows, "Phases of a run: arithmetic mean of seconds over runs")


def runs_list(runs: Sequence[Run]) -> Table:
    """Return a row for each run, with the id that ``harness show`` takes."""
    rows = []
    for run in runs:
        record, score = run.record, run.score(run.measure.key)
        step = None if run.step_median is None else run.step_median * 1e3
        row = {
            "run": record.id,
            "task": f"{record.task.name} on {record.dataset.name}",
            "configuration": record.configuration.label,
            "seed": str(record.seed),
            "test score": significant(None if score is None else score * run.measure.factor),
            "step (ms)": _timed(significant(step), disturbed=record.disturbed),
            "training (s)": _timed(_seconds(run), disturbed=record.disturbed),
            "epochs": f"{max(run.curves.get('epoch', [0])):g}",
        }
        rows.append(row)
    return table_of(rows, "Runs; harness show ID prints one in full")


def _seconds(run: Run) -> str:
    judged = run.record.judged_seconds
    return NOTHING if judged is None else f"{judged.training_seconds:.2f}"


def group_table(group: GroupFindings) -> Table:
    """Return the table of one group: settings by quality, other configurations by speed."""
    if group.comparison.group.is_of_settings:
        return settings_table(group.comparison)
    return comparison_table([group])


def settings_table(comparison: Comparison) -> Table:
    """Return a row for each setting: scores, comparison with the best, and when it reaches the target.

    The validation score, by which the rows are ordered, has a column where one is known, and the seeds that
    a verdict needs have one where a comparison is undecided.
    """
    measure, target = comparison.measure, comparison.target
    unit = f" ({measure.unit})" if measure.unit else ""
    axes, digits = comparison.group.axes, score_digits(measure)
    epochs = "" if target is None else f"epochs to validation {bound_text(comparison)}"
    rows = []
    for summary in comparison.summaries:
        difference, verdict = _relative(comparison, summary)
        pair, reached = comparison.pair_of(summary), summary.to_target
        needed = pair.quality.seeds_needed if pair else None
        row = {
            ", ".join(axes): ", ".join(map(text_on_axis, axes, summary.configuration.values)),
            "seeds": str(len(summary.configuration.runs)),
            f"ordered by validation {_measured(measure)}": (
                estimate(summary.validation, digits) if summary.validation else None
            ),
            score_header(measure): estimate(summary.quality, digits),
            f"difference{unit}": difference,
            "quality": verdict,
            "seeds needed to decide": f"about {needed:,}" if needed else None,
            epochs: reached and estimate(reached.epochs, 0 if reached.reached > 1 else None),
            "time to it (s)": time_to_target(summary),
            "training (s)": time_of(summary, summary.training_seconds),
        }
        rows.append(row)
    order = ordering_score(comparison)
    title = f"Settings{f', best {order} first' if order else ''}: mean [95 % interval from 3 seeds on]"
    return table_of(rows, title, legend=comparison_legend([comparison]))


def differences_table(comparison: Comparison) -> Table | None:
    """Return the differences of test scores from the reference with both intervals; None if not compared."""
    pairs = [pair for pair in comparison.pairs if pair.quality.difference is not None]
    if not pairs:
        return None
    measure, digits = comparison.measure, score_digits(comparison.measure)
    unit = f" ({measure.unit})" if measure.unit else ""
    rows: list[Row] = [
        {
            "configuration": pair.other.name,
            "seeds": str(pair.quality.difference.n if pair.quality.difference else 0),
            f"over seeds{unit}": estimate(pair.quality.over_seeds, digits, sign=True),
            f"for the population{unit}": estimate(pair.quality.population, digits, sign=True),
            "margin": f"±{significant(pair.quality.margin)}",
            "verdict": _verdict_cell(pair),
        }
        for pair in pairs
    ]
    title = f"Differences of test {measure.name} from {pairs[0].reference.name}: mean [95 % interval]"
    legend = ("The verdict rests on the wider interval. A difference within the margin counts as equal.",)
    return table_of(rows, title, legend=legend)
