"""A gate for the terminal: the verdict, a row per benchmark, then what to do about those that did not pass."""

import textwrap

from harness.gate.record import BenchmarkRecord, GateRecord
from harness.report.escaping import one_line
from harness.report.gate_advice import what_next
from harness.report.gate_tables import verdict_table
from harness.report.gate_words import CHANGE_LEGEND, circumstances, headline, not_passed, why
from harness.report.table import terminal_table
from harness.report.terminal import terminal_width

_NARROWEST = 60


def gate_text(record: GateRecord, width: int | None = None) -> str:
    """The whole outcome of a gate, as wide as the terminal."""
    width = max(width or terminal_width(), _NARROWEST)
    parts = [headline(record)]
    if record.benchmarks:
        parts.append(terminal_table(verdict_table(record), width).replace("\N{NO-BREAK SPACE}", " "))
    parts += [_advice(record, benchmark, width) for benchmark in not_passed(record)]
    parts.append(textwrap.fill(circumstances(record), width))
    if record.benchmarks:
        parts.append(textwrap.fill(CHANGE_LEGEND, width))
    return "\n\n".join(parts)


def _advice(record: GateRecord, benchmark: BenchmarkRecord, width: int) -> str:
    text = (
        f"{one_line(benchmark.name)}: {benchmark.verdict}: {why(benchmark)}. {what_next(record, benchmark)}"
    )
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
