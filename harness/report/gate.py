"""A gate for the terminal: the verdict, a row per benchmark, then what to do about those that failed."""

from collections.abc import Sequence

from harness.gate.record import BenchmarkRecord, GateRecord, Metric, MetricResult, QualityResult, Verdict
from harness.report.escaping import one_line
from harness.report.fitting import filled
from harness.report.gate_advice import advice
from harness.report.gate_words import (
    CHANGE_LEGEND,
    METRICS,
    change,
    circumstances,
    headline,
    limit,
    not_passed,
    quality_word,
    why,
)
from harness.report.numbers import NOTHING, significant
from harness.report.table import Cell, Table, Tone, terminal_table
from harness.report.terminal import terminal_width

# The tables of a gate: a row per benchmark, a row per metric with its measurements, a row per seed.

TONES: dict[Verdict, Tone] = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "unsure", "INVALID": "unsure"}
_TITLE = "Measurements: medians over processes (a step of head: base times the change), change, evidence"
_MARKS: dict[Verdict, str] = {"INCONCLUSIVE": "?"}


def verdict_table(record: GateRecord) -> Table:
    """Each benchmark with its verdict, the change of each metric, and its quality.

    A limit that all benchmarks share is in the header of its column, else in each cell.
    """
    shared = {metric: _shared_limit(record.benchmarks, metric) for metric in METRICS}
    headers = [f"{metric} ({text})" if text else metric for metric, text in shared.items()]
    rows: list[list[Cell | str]] = [
        [
            one_line(benchmark.name),
            Cell(benchmark.verdict, TONES[benchmark.verdict]),
            *(_change_cell(benchmark, metric, with_limit=not shared[metric]) for metric in METRICS),
            _quality_cell(benchmark),
        ]
        for benchmark in record.benchmarks
    ]
    headers = ["benchmark", "verdict", *headers, "quality"]
    return Table(headers, rows, "Verdict and change of each benchmark", CHANGE_LEGEND)


def _shared_limit(benchmarks: Sequence[BenchmarkRecord], metric: Metric) -> str:
    """The limit that all benchmarks have for the metric; empty where they differ."""
    limits = {limit(each) for benchmark in benchmarks for each in benchmark.metrics if each.metric == metric}
    return limits.pop() if len(limits) == 1 else ""


def _change_cell(benchmark: BenchmarkRecord, metric: Metric, *, with_limit: bool) -> Cell:
    """The change; with it a verdict other than PASS, which must not be shown by colour alone."""
    result = next((each for each in benchmark.metrics if each.metric == metric), None)
    if result is None:
        return Cell(NOTHING, "muted")
    parts = [change(metric, result.ratio)]
    if with_limit:
        parts.append(f"({limit(result)})")
    if result.verdict != "PASS":
        parts.append(_MARKS.get(result.verdict, result.verdict))
    return Cell(" ".join(parts), TONES[result.verdict], result.ratio.value if result.ratio else None)


def _quality_cell(benchmark: BenchmarkRecord) -> Cell:
    tone = TONES[benchmark.quality.verdict] if benchmark.quality else "muted"
    return Cell(quality_word(benchmark), tone)


def measurements_table(record: GateRecord) -> Table:
    """Each metric of each benchmark: the medians of base and head, the change, and its evidence."""
    headers = ["benchmark", "metric", "base", "head", "unit", "change", "limit", "pairs", "stage", "p"]
    rows = [
        [
            one_line(benchmark.name),
            *(_measured(result) if isinstance(result, MetricResult) else _compared(result)),
        ]
        for benchmark in record.benchmarks
        for result in benchmark.results
    ]
    return Table([*headers, "verdict"], rows, _TITLE)


def _measured(result: MetricResult) -> list[str]:
    scale, unit = (2.0**-20, "MiB") if result.metric == "memory" else (1e3, "ms")
    medians = [significant(value * scale) for value in (result.base, _head(result))]
    p = NOTHING if result.p_value is None else f"{result.p_value:.2g}"
    evidence = [
        change(result.metric, result.ratio),
        limit(result),
        str(result.pairs),
        result.stage,
        p,
        result.verdict,
    ]
    return [result.metric, *medians, unit, *evidence]


def _head(result: MetricResult) -> float:
    """The median of head; of steps that of base times the change, which is taken turn by turn.

    Medians over processes have the machine's drift in them and may contradict the change.
    """
    if result.metric != "step" or result.ratio is None:
        return result.head
    return result.base * result.ratio.value


def _compared(quality: QualityResult) -> list[str]:
    deviation = NOTHING if quality.worst is None else f"losses differ by {quality.worst:.1e}"
    return ["quality", NOTHING, NOTHING, "", deviation, *[NOTHING] * 4, quality.verdict]


def seeds_table(record: GateRecord) -> Table | None:
    """The scores of each seed where base and head were trained; None where no benchmark was."""
    rows = [
        [
            one_line(benchmark.name),
            benchmark.quality.measure,
            str(scores.seed),
            significant(scores.base, 4),
            significant(scores.head, 4),
            _steps(scores.base_steps_to_target),
            _steps(scores.head_steps_to_target),
        ]
        for benchmark in record.benchmarks
        if benchmark.quality is not None
        for scores in benchmark.quality.seeds
    ]
    headers = ["benchmark", "score", "seed", "base", "head", "steps to target, base", "steps to target, head"]
    title = "Trained on the same seeds: validation score at the best epoch"
    return Table(headers, rows, title) if rows else None


def _steps(steps: int | None) -> str:
    return "not reached" if steps is None else f"{steps:,}"


_NARROWEST = 60
_INDENT = "  "


def gate_text(record: GateRecord, width: int | None = None) -> str:
    """The whole outcome of a gate, as wide as the terminal. Commands are never wrapped."""
    width = max(width or terminal_width(), _NARROWEST)
    parts = [f"{record.verdict}: {headline(record)}"]
    if record.benchmarks:
        parts.append(terminal_table(verdict_table(record), width))
    parts += [_explanation(record, benchmark, width) for benchmark in not_passed(record)]
    parts.append(filled(circumstances(record), width))
    if record.benchmarks:
        parts.append(filled(CHANGE_LEGEND, width))
    return "\n\n".join(parts)


def _explanation(record: GateRecord, benchmark: BenchmarkRecord, width: int) -> str:
    """Why a benchmark did not pass, and what to do; a command stands in a line of its own."""
    text, command = advice(record, benchmark)
    reason = filled(
        f"{one_line(benchmark.name)}: {benchmark.verdict}: {why(benchmark)}.", width, indent=_INDENT
    )
    lines = [reason, filled(text, width, _INDENT, _INDENT)]
    if command:
        lines.append(2 * _INDENT + command)
    return "\n".join(lines)
