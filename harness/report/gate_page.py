"""A gate as one HTML file that opens offline: verdict, what to do, charts, and the circumstances."""

import shlex

from harness.gate.record import BenchmarkRecord, EnvironmentRecord, GateRecord
from harness.report.escaping import one_line
from harness.report.gate_advice import what_next
from harness.report.gate_charts import gate_figures
from harness.report.gate_tables import measurements_table, seeds_table, verdict_table
from harness.report.gate_words import CHANGE_LEGEND, circumstances, headline, not_passed, why
from harness.report.html import render


def gate_page(record: GateRecord) -> str:
    """The page; all text from the record is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    verdict, _, told = headline(record).partition(": ")
    figures = gate_figures(record)
    return render(
        "gate.html.j2",
        figures,
        verdict=verdict,
        told=told,
        circumstances=circumstances(record),
        left=[
            (one_line(one.name), one.verdict, why(one), what_next(record, one)) for one in not_passed(record)
        ],
        verdicts=verdict_table(record),
        legend=CHANGE_LEGEND,
        charts=figures,
        measurements=measurements_table(record),
        seeds=seeds_table(record),
        facts=_facts(record),
        benchmarks=[_conditions(benchmark) for benchmark in record.benchmarks],
        gate=record.id,
    )


def _facts(record: GateRecord) -> dict[str, str]:
    """Both environments, the machine, the suite and the call, by what they are called."""
    machine = record.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    facts = {
        "base": _environment(record.base) if record.against == "environment" else "a stored baseline",
        "head": _environment(record.head),
        "machine": f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {machine.os}, {machine.libc}",
        "suite": record.suite,
        "command": shlex.join(["harness", *record.command]),
        "begun": f"{record.started_at[:16].replace('T', ' ')} UTC, {record.seconds / 60:.1f} min",
        "status": f"{record.status} {record.failure}",
    }
    return {name: one_line(text) for name, text in facts.items()}


def _environment(environment: EnvironmentRecord) -> str:
    parts = [environment.python, f"harness {environment.harness}"]
    if environment.commit:
        parts.append(f"commit {environment.commit}")
    parts += [f"{name}={value}" for name, value in environment.variables.items()]
    return ", ".join(parts)


def _conditions(benchmark: BenchmarkRecord) -> str:
    """What a benchmark ran with, on both sides."""
    data = benchmark.dataset
    options = ", ".join(f"{name}={value}" for name, value in benchmark.options.items())
    sides = [
        f"{side.label}: {', '.join(f'{name} {version}' for name, version in side.framework.items())}"
        for side in benchmark.sides
    ]
    ran = [f"{data.name} {(data.fingerprint or '')[:12]}".strip(), f"{benchmark.threads} threads"]
    if benchmark.sides:
        ran += [f"{benchmark.sides[-1].device}, {benchmark.sides[-1].precision}"]
        ran += [f"batch size {benchmark.sides[-1].batch_size}"]
    parts = [f"{benchmark.name}: {', '.join(ran)}", options, *sides, f"{benchmark.seconds:.0f} s"]
    return one_line("; ".join(part for part in parts if part))
