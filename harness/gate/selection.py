"""Gates reduced to one benchmark or one metric."""

from collections.abc import Iterable

import msgspec

from harness.gate.record import BenchmarkRecord, GateRecord, Metric


def selected(gates: Iterable[GateRecord], benchmark: str | None, metric: Metric | None) -> list[GateRecord]:
    """The gates with one benchmark and one metric only; None: all."""
    return [
        msgspec.structs.replace(
            gate,
            benchmarks=[
                _with_metric(recorded, metric)
                for recorded in gate.benchmarks
                if benchmark in (None, recorded.name)
            ],
        )
        for gate in gates
    ]


def _with_metric(benchmark: BenchmarkRecord, metric: Metric | None) -> BenchmarkRecord:
    metrics = [result for result in benchmark.metrics if metric in (None, result.metric)]
    return msgspec.structs.replace(benchmark, metrics=metrics)
