"""A gate in the Bencher Metric Format, which Bencher and similar tools read: benchmark, measure, value."""

import msgspec

from harness.gate.record import GateRecord, Metric
from harness.stats.estimate import Estimate

_UNITS: dict[Metric, str] = {"step": "seconds", "first step": "seconds", "memory": "bytes"}


def bencher_json(record: GateRecord) -> bytes:
    """For each benchmark the ratios with their intervals, and head's medians in seconds and bytes."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark in record.benchmarks:
        measures = document.setdefault(benchmark.name, {})
        for result in benchmark.metrics:
            slug = result.metric.replace(" ", "-")
            if result.ratio is not None:  # the format demands a value
                measures[f"{slug}-ratio"] = _ratio(result.ratio)
            measures[f"{slug}-{_UNITS[result.metric]}"] = {"value": result.head}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _ratio(ratio: Estimate) -> dict[str, float]:
    bounds = {"value": ratio.value, "lower_value": ratio.low, "upper_value": ratio.high}
    return {name: value for name, value in bounds.items() if value is not None}
