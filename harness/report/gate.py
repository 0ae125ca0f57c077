"""A gate for the terminal: the verdict, a row per benchmark, then what to do about those that failed."""

from harness.gate.record import BenchmarkRecord, GateRecord
from harness.report.escaping import one_line
from harness.report.fitting import filled
from harness.report.gate_advice import advice
from harness.report.gate_circumstances import circumstances
from harness.report.gate_tables import verdict_table
from harness.report.gate_words import CHANGE_LEGEND, headline, not_passed, why
from harness.report.table import terminal_table
from harness.report.terminal import terminal_width

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
