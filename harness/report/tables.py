"""Comparisons and runs as tables, each configuration in a row, the reference first."""

from collections.abc import Iterable, Sequence

from harness.analysis.comparison import Comparison, PairComparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.findings import GroupFindings
from harness.analysis.run_curves import Run
from harness.report.busy import BUSY_LEGEND, busy_mark
from harness.report.doubt_words import UNRELIABLE
from harness.report.numbers import (
    NOTHING,
    RATIO_LEGEND,
    estimate,
    score_digits,
    score_unit,
    significant,
    time_ratio,
)
from harness.report.table import Cell, Table, Tone
from harness.stats.estimate import Estimate
from harness.training.measures import Measure

_REFERENCE = Cell("reference", "muted", 1.0)
_TITLE = "Configurations by step time: mean [95 % interval from 3 seeds on]"
#: What the columns of every comparison mean.
_STEP = "Step time: after the warm-up."
_COLUMNS = (
    "Training: all steps with the first one, without import, build and scoring. Test scores are those after "
    "the last epoch."
)
#: How a page colours verdicts on quality.
VERDICT_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "undecided": "unsure"}


def comparison_table(groups: Sequence[GroupFindings]) -> Table:
    """The configurations of one or several groups, fastest first, with speed and quality side by side.

    A column states the conditions if there are several groups; speed and quality are relative, and have a
    column each, if any group has several configurations.
    """
    comparisons = [group.comparison for group in groups]
    measures = {comparison.measure for comparison in comparisons}
    several = len(comparisons) > 1
    compared = any(len(comparison.summaries) > 1 for comparison in comparisons)
    score = score_header(next(iter(measures))) if len(measures) == 1 else "test score"
    headers = [*["conditions"] * several, "configuration", "seeds", *["relative step time"] * compared]
    headers += ["step (ms)", "training (s)", score, *["quality"] * compared]
    rows: list[list[Cell | str]] = []
    for comparison in comparisons:
        for summary in comparison.summaries:
            ratio, quality = _relative(comparison, summary)
            rows.append(
                [
                    *[comparison.group.title] * several,
                    summary.name,
                    str(len(summary.configuration.runs)),
                    *[ratio] * compared,
                    time_of(summary, summary.step_seconds and summary.step_seconds.scaled(1e3)),
                    time_of(summary, summary.training_seconds),
                    _score(summary, comparison.measure, named=len(measures) > 1),
                    *[quality] * compared,
                ]
            )
    return Table(headers, rows, _TITLE, comparison_legend(comparisons))


def comparison_legend(comparisons: Iterable[Comparison], *, ratios: bool = True) -> str:
    """How the columns of these comparisons are to be read."""
    shown = list(comparisons)
    parts = [RATIO_LEGEND] if ratios and any(map(has_ratios, shown)) else []
    busy = any(summary.disturbed for comparison in shown for summary in comparison.summaries)
    steps = not all(comparison.group.is_of_settings for comparison in shown)
    return " ".join([*parts, *[_STEP] * steps, _COLUMNS, *[BUSY_LEGEND] * busy])


def has_ratios(comparison: Comparison) -> bool:
    """Whether times are compared; of settings they are not."""
    return bool(comparison.pairs) and not comparison.group.is_of_settings


def time_of(summary: ConfigurationSummary, seconds: Estimate | None) -> str:
    """A time of a configuration's runs, marked if others used the machine."""
    return busy_mark(estimate(seconds, None), disturbed=summary.disturbed)


def score_header(measure: Measure) -> str:
    """``test accuracy (%)``."""
    return f"test {measure.name} ({score_unit(measure)})" if score_unit(measure) else f"test {measure.name}"


def _score(summary: ConfigurationSummary, measure: Measure, *, named: bool) -> str:
    score = estimate(summary.quality, score_digits(measure))
    return f"{score} {score_unit(measure) or measure.name}" if named and score != NOTHING else score


def _relative(comparison: Comparison, summary: ConfigurationSummary) -> tuple[Cell | str, Cell | str]:
    """Step time and quality relative to the reference."""
    if len(comparison.summaries) == 1:
        return NOTHING, NOTHING
    if not comparison.pairs:
        return NOTHING, Cell("different work" if comparison.different else "not certified", "bad")
    pair = comparison.pair_of(summary)
    if pair is None:
        return _REFERENCE, _REFERENCE
    verdict = NOTHING if pair.quality.difference is None else pair.quality_verdict
    return _ratio(pair), Cell(verdict, VERDICT_TONES.get(verdict, ""))


def _ratio(pair: PairComparison) -> Cell:
    """The ratio to the reference; one of unreliable times is named so."""
    cell = ratio_cell(pair.ratio)
    if pair.speed_verdict != UNRELIABLE:
        return cell
    return cell._replace(text=f"{cell.text}, {UNRELIABLE}", tone="unsure")


def ratio_cell(ratio: Estimate | None) -> Cell:
    """A ratio of times, sorted by its value."""
    return Cell(time_ratio(ratio), value=ratio.value if ratio else None)


def details_table(comparison: Comparison, peak_flops: float | None = None) -> Table:
    """Throughput, time to the target, memory, and which configurations no other beats in time and quality."""
    headers = ["configuration", "samples/s", "GFLOP/s"]
    if comparison.target is not None:
        headers.append(f"time to validation {_target_text(comparison)} (s)")
    headers += ["peak memory (MiB)", "on the front"]
    rows = [_details(summary, peak_flops) for summary in comparison.summaries]
    return Table(
        headers, rows, "Throughput and memory; no other beats one on the front in training time and quality"
    )


def _target_text(comparison: Comparison) -> str:
    """``accuracy ≥ 60 %``."""
    measure = comparison.measure
    bound = "≥" if measure.higher_is_better else "≤"
    return f"{measure.name} {bound} {significant(comparison.target)} {score_unit(measure)}".rstrip()


def _details(summary: ConfigurationSummary, peak_flops: float | None) -> list[Cell | str]:
    flops = NOTHING if summary.flops_per_second is None else significant(summary.flops_per_second / 1e9)
    if peak_flops and summary.flops_per_second:
        flops += f" ({summary.flops_per_second / peak_flops:.0%} of peak)"
    rates = (significant(summary.samples_per_second), flops)
    row: list[Cell | str] = [summary.name]
    row += [busy_mark(rate, disturbed=summary.disturbed) for rate in rates]
    if summary.to_target is not None:
        row.append(time_to_target(summary))
    memory = summary.peak_memory_bytes
    return [
        *row,
        NOTHING if memory is None else f"{memory / 2**20:,.0f}",
        "yes" if summary.on_front else "no",
    ]


def time_to_target(summary: ConfigurationSummary) -> str:
    """Seconds to the target, and how many runs reached it if not all did."""
    target = summary.to_target
    if target is None or not target.reached:
        return "not reached"
    text = time_of(summary, target.seconds)
    return text if target.reached == target.of else f"{text}, by {target.reached} of {target.of} runs"


def phases_table(comparison: Comparison) -> Table:
    """Where the time of a run went: mean seconds over the runs of each configuration."""
    names = list(dict.fromkeys(name for summary in comparison.summaries for name in summary.phases))
    rows = [
        [
            summary.name,
            *(
                busy_mark(significant(summary.phases.get(name)), disturbed=summary.disturbed)
                for name in names
            ),
        ]
        for summary in comparison.summaries
    ]
    headers = ["configuration", *(f"{name} (s)" for name in names)]
    return Table(headers, rows, "Phases of a run: arithmetic mean of seconds over runs")


def runs_list(runs: Sequence[Run]) -> Table:
    """A row for each run, with the id that ``harness show`` takes."""
    headers = ["run", "task", "configuration", "seed", "test score", "step (ms)", "training (s)", "epochs"]
    rows = []
    for run in runs:
        record, measure = run.record, run.measure
        score = run.score(measure.key)
        step = None if run.step_median is None else run.step_median * 1e3
        row = [record.id, f"{record.task.name} on {record.dataset.name}", record.label, str(record.seed)]
        times = [significant(step), f"{record.phases.training_seconds:.2f}"]
        row.append(significant(None if score is None else score * measure.factor))
        row += [busy_mark(time, disturbed=record.disturbed) for time in times]
        rows.append([*row, f"{max(run.curves.get('epoch', [0])):g}"])
    return Table(headers, rows, "Runs; harness show ID prints one in full")
