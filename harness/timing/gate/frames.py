"""Gates as a pandas data frame, a row for each metric of each benchmark and for its quality."""

from collections.abc import Iterable, Iterator

import pandas as pd

from harness.core.runs.frames import with_times
from harness.timing.gate.record import BenchmarkRecord, GateRecord, MetricResult


def gates_frame(records: Iterable[GateRecord]) -> pd.DataFrame:
    """Return one row per metric and quality of each benchmark; one row for a benchmark without results.

    ``base`` and ``head`` are medians in seconds or bytes, ``ratio`` is head over base with the ends of its 95
    % interval, ``limit`` the share by which head may be worse.
    """
    rows = [
        {**_gate(record), **_benchmark(benchmark), **row}
        for record in records
        for benchmark in record.benchmarks
        for row in _rows(benchmark)
    ]
    return with_times(pd.DataFrame(rows), "started_at")


def _gate(record: GateRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "started_at": record.started_at,
        "status": record.status,
        "gate_verdict": record.verdict,
        "base_commit": record.base.commit,
        "head_commit": record.head.commit,
        "cpu": record.machine.cpu,
        "host": record.machine.host,
    }


def _benchmark(benchmark: BenchmarkRecord) -> dict[str, object]:
    return {
        "benchmark": benchmark.name,
        "benchmark_verdict": benchmark.verdict,
        "backend": benchmark.backend,
        "mode": benchmark.mode,
        "task": benchmark.task,
        "dataset": benchmark.dataset.name,
        "threads": benchmark.threads,
    }


def _rows(benchmark: BenchmarkRecord) -> Iterator[dict[str, object]]:
    for metric in benchmark.metrics:
        yield _metric(metric)
    quality = benchmark.quality
    if quality is not None:
        yield {"metric": "quality", "verdict": quality.verdict}
    elif not benchmark.metrics:
        yield {"metric": None, "verdict": benchmark.verdict}


def _metric(result: MetricResult) -> dict[str, object]:
    ratio = result.ratio
    return {
        "metric": result.metric,
        "verdict": result.verdict,
        "stage": result.stage,
        "base": result.base,
        "head": result.head,
        "ratio": ratio and ratio.value,
        "ratio_low": ratio and ratio.low,
        "ratio_high": ratio and ratio.high,
        "limit": result.limit,
        "p_value": result.p_value,
        "pairs": result.pairs,
    }
