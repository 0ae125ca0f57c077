"""A gate as one HTML file that opens offline: the verdict, what to do, charts, and the circumstances."""

from harness.gate.record import GateRecord
from harness.report.escaping import one_line
from harness.report.gate_advice import advice
from harness.report.gate_charts import gate_figures
from harness.report.gate_circumstances import circumstances, conditions, details
from harness.report.gate_tables import measurements_table, seeds_table, verdict_table
from harness.report.gate_words import headline, not_passed, why
from harness.report.html import render


def gate_page(record: GateRecord) -> str:
    """The page; all text from the record is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    figures = gate_figures(record)
    explanations = [
        (one_line(benchmark.name), benchmark.verdict, why(benchmark), advice(record, benchmark))
        for benchmark in not_passed(record)
    ]
    return render(
        "gate.html.j2",
        figures,
        verdict=record.verdict,
        headline=headline(record),
        circumstances=circumstances(record),
        explanations=explanations,
        verdicts=verdict_table(record),
        charts=figures,
        measurements=measurements_table(record),
        seeds=seeds_table(record),
        details=details(record),
        benchmarks=[conditions(benchmark) for benchmark in record.benchmarks],
        gate=record.id,
    )
