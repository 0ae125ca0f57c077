"""A gate as Markdown for a pull request or a job's summary: the verdict first, details folded away."""

from collections.abc import Iterator

from harness.gate.record import BenchmarkRecord, GateRecord
from harness.report.escaping import for_markdown, one_line
from harness.report.gate_advice import what_next
from harness.report.gate_tables import verdict_table
from harness.report.gate_words import (
    CHANGE_LEGEND,
    circumstances,
    headline,
    metric_sentence,
    not_passed,
    quality_word,
    why,
)
from harness.report.table import Cell, Table, markdown_table, text_of

_MARKS = {"PASS": "✅ PASS", "FAIL": "❌ FAIL", "INCONCLUSIVE": "❔ INCONCLUSIVE"}


def gate_markdown(record: GateRecord) -> str:
    """The whole summary; ends with a line end."""
    return "\n\n".join(_parts(record)) + "\n"


def _parts(record: GateRecord) -> Iterator[str]:
    verdict, _, told = headline(record).partition(": ")
    yield f"## {_MARKS.get(verdict, verdict)}: {for_markdown(told)}"
    if record.benchmarks:
        yield markdown_table(_marked(verdict_table(record)))
        yield CHANGE_LEGEND
    left = not_passed(record)
    if left:
        yield "\n".join(
            f"- **{for_markdown(one.name)}**: {for_markdown(why(one))}. {_with_code(what_next(record, one))}"
            for one in left
        )
    yield _folded("Measurements", [_measurements(one) for one in record.benchmarks])
    yield _folded(
        "Circumstances", [for_markdown(circumstances(record)), for_markdown(f"harness show {record.id}")]
    )


def _marked(table: Table) -> Table:
    """The table with a mark before each benchmark's verdict."""
    return table._replace(rows=[[name, _mark(verdict), *cells] for name, verdict, *cells in table.rows])


def _mark(verdict: Cell | str) -> str:
    text = text_of(verdict)
    return _MARKS.get(text, text)


def _measurements(benchmark: BenchmarkRecord) -> str:
    told = [metric_sentence(result) for result in benchmark.metrics]
    if benchmark.quality is not None:
        worst = benchmark.quality.worst
        told.append(
            f"quality: {quality_word(benchmark)}" + ("" if worst is None else f", off by {worst:.1e} at most")
        )
    return f"- **{for_markdown(benchmark.name)}**: {for_markdown('; '.join(told) or 'nothing')}"


def _folded(title: str, lines: list[str]) -> str:
    return f"<details><summary>{title}</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _with_code(sentence: str) -> str:
    """Escaped, but for commands between backticks, which stay code; a backtick in one would end it."""
    parts = one_line(sentence).split("`")
    return "".join(
        f"`{part}`" if place % 2 else f" {for_markdown(part)} " for place, part in enumerate(parts) if part
    ).strip()
