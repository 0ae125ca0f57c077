"""A gate's tables for a page: a row a benchmark, a row a metric with what was measured, a row a seed."""

from typing import NamedTuple

from harness.gate.record import BenchmarkRecord, GateRecord, MetricResult
from harness.report.escaping import one_line
from harness.report.gate_words import METRICS, NOTHING, change, limit, quality_word, subject
from harness.report.numbers import significant
from harness.report.tables import Table


class Cell(NamedTuple):
    """A cell's text, a remark in small under it, and the verdict that colours it; both may be empty."""

    text: str
    remark: str = ""
    verdict: str = ""


class VerdictTable(NamedTuple):
    """A table of which cells carry verdicts."""

    headers: list[str]
    rows: list[list[Cell]]


def verdict_table(record: GateRecord) -> VerdictTable:
    """Each benchmark with its verdict, the changes of its metrics against their limits, and its quality."""
    headers = ["benchmark", "verdict", *METRICS, "quality"]
    return VerdictTable(headers, [_row(benchmark) for benchmark in record.benchmarks])


def _row(benchmark: BenchmarkRecord) -> list[Cell]:
    results = {result.metric: result for result in benchmark.metrics}
    quality = benchmark.quality
    return [
        Cell(one_line(benchmark.name), subject(benchmark)),
        Cell(benchmark.verdict, verdict=benchmark.verdict),
        *(_metric_cell(results.get(metric)) for metric in METRICS),
        Cell(quality_word(benchmark), verdict=quality.verdict if quality else ""),
    ]


def _metric_cell(result: MetricResult | None) -> Cell:
    if result is None:
        return Cell(NOTHING)
    return Cell(change(result.ratio, result.low, result.high), limit(result), result.verdict)


def measurements_table(record: GateRecord) -> Table:
    """Each metric of each benchmark: medians of both sides, ratio, evidence."""
    counted = "pairs" if record.against == "environment" else "processes"
    headers = ["benchmark", "metric", "base", "head", "unit", "change (%)", "limit", counted, "stage", "p"]
    rows = [
        [one_line(benchmark.name), *_measured(result)]
        for benchmark in record.benchmarks
        for result in benchmark.metrics
    ]
    return Table([*headers, "verdict"], rows)


def _measured(result: MetricResult) -> list[str]:
    scale, unit = (2.0**-20, "MiB") if result.metric == "memory" else (1e3, "ms")
    medians = [significant(value * scale) for value in (result.base, result.head)]
    p = NOTHING if result.p_value is None else f"{result.p_value:.2g}"
    told = change(result.ratio, result.low, result.high).replace(" %", "")
    evidence = [told, limit(result), str(result.pairs), result.stage, p, result.verdict]
    return [result.metric, *medians, unit, *evidence]


def seeds_table(record: GateRecord) -> Table | None:
    """What each seed came to where both sides were trained; None where none was."""
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
    headers = ["benchmark", "score", "seed", "base", "head", "base's steps to target", "head's steps"]
    return Table(headers, rows) if rows else None


def _steps(steps: int | None) -> str:
    return "not reached" if steps is None else f"{steps:,}"
