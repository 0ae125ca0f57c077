"""A gate as Markdown for a pull request or a job's summary: the verdict first, details folded away."""

from collections.abc import Iterator

from harness.gate.record import BenchmarkRecord, GateRecord, Verdict
from harness.report.escaping import for_markdown, one_line
from harness.report.gate_advice import advice
from harness.report.gate_circumstances import circumstances
from harness.report.gate_tables import verdict_table
from harness.report.gate_words import headline, metric_text, not_passed, quality_word, why
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
    yield _folded("Measurements", [_measurements(benchmark) for benchmark in record.benchmarks])
    yield _folded("Circumstances", [for_markdown(circumstances(record)), _code(f"harness show {record.id}")])


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
    return f"{line} {_code(command)}" if command else line


def _measurements(benchmark: BenchmarkRecord) -> str:
    texts = [metric_text(result) for result in benchmark.metrics]
    if benchmark.quality is not None:
        worst = benchmark.quality.worst
        deviation = "" if worst is None else f", largest deviation of a loss {worst:.1e}"
        texts.append(f"quality: {quality_word(benchmark)}{deviation}")
    return f"- **{for_markdown(benchmark.name)}**: {for_markdown('; '.join(texts) or 'none')}"


def _folded(title: str, lines: list[str]) -> str:
    return f"<details><summary>{title}</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _code(command: str) -> str:
    """A code span. A backtick in it would end it, so it is left out."""
    return f"`{one_line(command).replace('`', '')}`"
