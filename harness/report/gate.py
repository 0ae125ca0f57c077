"""A gate for the terminal: the verdict, a row a benchmark, and why what did not pass did not."""

import textwrap

from harness.gate.record import BenchmarkRecord, GateRecord, Metric
from harness.report.escaping import one_line
from harness.report.fitting import fitted_table
from harness.report.gate_advice import what_next
from harness.report.gate_words import (
    METRICS,
    NOTHING,
    change,
    circumstances,
    headline,
    interval,
    limit,
    not_passed,
    quality_word,
    why,
)
from harness.report.terminal import terminal_width

_NARROWEST = 60


def gate_text(record: GateRecord, width: int | None = None) -> str:
    """The whole outcome of a gate, as wide as the terminal."""
    width = max(width or terminal_width(), _NARROWEST)
    parts = [f"{headline(record)}\n{textwrap.fill(circumstances(record), width)}"]
    if record.benchmarks:
        parts.append(_table(record, width))
    parts += [_advice(record, benchmark, width) for benchmark in not_passed(record)]
    return "\n\n".join(parts)


def _table(record: GateRecord, width: int) -> str:
    headers = ("benchmark", "verdict", *METRICS, "quality")
    for between in (" ", "\n"):  # interval and limit go under the change where it is narrow
        rows = [_row(benchmark, between) for benchmark in record.benchmarks]
        table = fitted_table(rows, 10**6, headers)
        if max(map(len, table.splitlines())) <= width:
            return table
    return fitted_table(rows, width, headers)


def _row(benchmark: BenchmarkRecord, between: str) -> list[str]:
    cells = [_cell(benchmark, metric, between) for metric in METRICS]
    return [one_line(benchmark.name), benchmark.verdict, *cells, quality_word(benchmark)]


def _cell(benchmark: BenchmarkRecord, metric: Metric, between: str) -> str:
    """The change, a mark where it did not pass, the interval, the limit."""
    for result in benchmark.metrics:
        if result.metric == metric:
            mark = {"PASS": "", "FAIL": " FAIL", "INCONCLUSIVE": " ?"}[result.verdict]
            parts = (
                f"{change(result.ratio, None, None)}{mark}",
                interval(result.low, result.high),
                f"({limit(result)})",
            )
            return between.join(part for part in parts if part)
    return NOTHING


def _advice(record: GateRecord, benchmark: BenchmarkRecord, width: int) -> str:
    text = (
        f"{one_line(benchmark.name)}: {benchmark.verdict}: {why(benchmark)}. {what_next(record, benchmark)}"
    )
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
