"""A gate as OpenMetrics text, for GitLab's metrics report and for tools that scrape files.

OpenMetrics 1.0: a family's name ends with its unit, and ``# EOF`` ends the document.
"""

from collections.abc import Iterator
from typing import NamedTuple

from harness.gate.record import GateRecord, Metric
from harness.report.escaping import for_openmetrics_label

_MEDIANS: dict[Metric, tuple[str, str]] = {
    "step": ("harness_gate_step_seconds", "seconds"),
    "first step": ("harness_gate_first_step_seconds", "seconds"),
    "memory": ("harness_gate_memory_bytes", "bytes"),
}


class _Sample(NamedTuple):
    """A value with its labels. The caller knows its family."""

    labels: dict[str, str]
    value: float


def openmetrics_text(record: GateRecord) -> str:
    """The document: medians of base and head, ratios with their intervals and limits, verdicts."""
    lines: list[str] = []
    for name, unit in _MEDIANS.values():
        lines += _family(name, unit, "Median over processes.", _medians(record, name))
    lines += _family("harness_gate_ratio", "ratio", "Head over base with its 95 % interval.", _ratios(record))
    lines += _family("harness_gate_passed", "", "1 if the benchmark passed, else 0.", _passed(record))
    return "\n".join([*lines, "# EOF", ""])


def _family(name: str, unit: str, what: str, samples: Iterator[_Sample]) -> list[str]:
    head = [f"# TYPE {name} gauge", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {what}"]
    return head + [f"{name}{{{_labels(each.labels)}}} {each.value!r}" for each in samples]


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{for_openmetrics_label(value)}"' for name, value in labels.items())


def _medians(record: GateRecord, name: str) -> Iterator[_Sample]:
    for benchmark in record.benchmarks:
        for result in benchmark.metrics:
            if _MEDIANS[result.metric][0] == name:
                yield _Sample({"benchmark": benchmark.name, "environment": "base"}, float(result.base))
                yield _Sample({"benchmark": benchmark.name, "environment": "head"}, float(result.head))


def _ratios(record: GateRecord) -> Iterator[_Sample]:
    for benchmark in record.benchmarks:
        for result in benchmark.metrics:
            bounds: dict[str, float | None] = {"limit": 1 + result.limit}
            if (ratio := result.ratio) is not None:
                bounds |= {"mean": ratio.value, "low": ratio.low, "high": ratio.high}
            for bound, value in bounds.items():
                if value is not None:
                    labels = {"benchmark": benchmark.name, "metric": result.metric, "bound": bound}
                    yield _Sample(labels, float(value))


def _passed(record: GateRecord) -> Iterator[_Sample]:
    for benchmark in record.benchmarks:
        yield _Sample({"benchmark": benchmark.name}, float(benchmark.verdict == "PASS"))
