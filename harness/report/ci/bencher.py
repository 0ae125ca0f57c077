"""A gate in the Bencher Metric Format, which Bencher and tools like it read: benchmark, measure, value."""

import msgspec

from harness.gate.record import GateRecord, Metric, MetricResult

_UNITS: dict[Metric, str] = {"step": "seconds", "first step": "seconds", "memory": "bytes"}


def bencher_json(record: GateRecord) -> bytes:
    """Of each benchmark the ratios with their intervals, and head's medians in seconds and bytes."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark in record.benchmarks:
        measures = document.setdefault(benchmark.name, {})
        for result in benchmark.metrics:
            slug = result.metric.replace(" ", "-")
            if result.ratio is not None:  # a measure without a value is none
                measures[f"{slug}-ratio"] = _ratio(result)
            measures[f"{slug}-{_UNITS[result.metric]}"] = {"value": result.head}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _ratio(result: MetricResult) -> dict[str, float]:
    bounds = {"value": result.ratio, "lower_value": result.low, "upper_value": result.high}
    return {name: value for name, value in bounds.items() if value is not None}
