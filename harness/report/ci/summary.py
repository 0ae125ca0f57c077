"""A gate as Markdown for a pull request or a job's summary: the verdict first, details folded away."""

import textwrap
from collections.abc import Iterator

from harness.gate.record import BenchmarkRecord, GateRecord, Verdict
from harness.report.escaping import for_markdown, one_line
from harness.report.gate_advice import advice
from harness.report.gate_circumstances import circumstances
from harness.report.gate_tables import measurements_table, verdict_table
from harness.report.gate_words import headline, not_passed, why
from harness.report.table import Table, markdown_table

_MARKS: dict[Verdict, str] = {
    "PASS": "✅ PASS",
    "FAIL": "❌ FAIL",
    "INCONCLUSIVE": "❔ INCONCLUSIVE",
    "INVALID": "❌ INVALID",
}


def gate_markdown(record: GateRecord) -> str:
    """The whole summary; ends with a newline."""
    return "\n\n".join(_parts(record)) + "\n"


def _parts(record: GateRecord) -> Iterator[str]:
    yield f"## {_MARKS[record.verdict]}: {for_markdown(headline(record))}"
    if record.benchmarks:
        table = _table(record)
        yield markdown_table(table)
        yield for_markdown(table.legend)
    explanations = [_explanation(record, benchmark) for benchmark in not_passed(record)]
    if explanations:
        yield "\n".join(explanations)
    measurements = measurements_table(record)
    if measurements.rows:
        yield _folded("Measurements", markdown_table(measurements))
    yield _folded(
        "Circumstances", f"{for_markdown(circumstances(record))}\n{_command(f'harness show {record.id}')}"
    )


def _table(record: GateRecord) -> Table:
    """The table of verdicts, each with its mark."""
    table = verdict_table(record)
    rows = [
        [name, _MARKS[benchmark.verdict], *changes]
        for benchmark, (name, _, *changes) in zip(record.benchmarks, table.rows, strict=True)
    ]
    return table._replace(rows=rows)


def _explanation(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    text, command = advice(record, benchmark)
    line = f"- **{for_markdown(benchmark.name)}**: {for_markdown(why(benchmark))}. {for_markdown(text)}"
    return line + textwrap.indent(f"\n{_command(command)}", "  ") if command else line


def _command(command: str) -> str:
    """A block of code. Backticks in a command could end the block, so they are left out."""
    return f"```sh\n{one_line(command).replace('`', '')}\n```"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"
