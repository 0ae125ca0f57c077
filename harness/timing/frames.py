"""Duels and gates as pandas data frames, a row for each comparison."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest

import pandas as pd

from harness.core.runs.frames import with_times
from harness.timing.duel.record import (
    ConfigurationRecord,
    DuelRecord,
    DuelResult,
)
from harness.timing.gate.record import (
    BenchmarkRecord,
    GateRecord,
    MetricResult,
)

# Gates as a pandas DataFrame: one row per metric of each benchmark, and one for its quality.


def gates_frame(records: Iterable[GateRecord]) -> pd.DataFrame:
    """One row per metric and quality of each benchmark; a benchmark without results has one row.

    ``base`` and ``head`` are medians in seconds or bytes, ``ratio`` is head over base with the ends of its
    95 % interval, ``limit`` the share by which head may be worse.
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
        "host": record.machine.host_text or None,
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


# Duels as a pandas DataFrame: one row per configuration that was compared with the reference.


def duels_frame(records: Iterable[DuelRecord]) -> pd.DataFrame:
    """One row per result of each duel; a duel without results has one row for each such configuration.

    ``ratio`` is the time per sample over that of the reference, with the ends of its 95 % interval.
    """
    rows = [
        {**_conditions(record), **_configuration(configuration, reference), **_result(result)}
        for record in records
        for reference in record.configurations[:1]
        for configuration, result in zip_longest(record.configurations[1:], record.results)
    ]
    return with_times(pd.DataFrame(rows), "started_at")


def _conditions(record: DuelRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "started_at": record.started_at,
        "status": record.status,
        "task": record.work_name,
        "dataset": record.dataset_name,
        "cpu": record.machine.cpu,
        "host": record.machine.host_text or None,
        "seed": record.seed,
        "margin": record.margin,
        "stopped_because": record.stopped_because,
        "seconds": record.seconds,
    }


def _configuration(configuration: ConfigurationRecord, reference: ConfigurationRecord) -> dict[str, object]:
    certified = configuration.certificate
    return {
        "configuration": configuration.label,
        "reference": reference.label,
        "backend": configuration.configuration.backend,
        "mode": configuration.configuration.mode,
        "device": configuration.device,
        "precision": configuration.configuration.precision,
        "threads": configuration.configuration.threads,
        "batch_size": configuration.batch_size,
        "certified": None if certified is None else certified.certified,
    }


def _result(result: DuelResult | None) -> dict[str, object]:
    ratio = result and result.ratio
    return {
        "verdict": result and result.verdict,
        "ratio": ratio and ratio.value,
        "ratio_low": ratio and ratio.low,
        "ratio_high": ratio and ratio.high,
        "p_value": result and result.p_value,
        "pairs": result.pairs if result else 0,
        "lost_pairs": result.lost if result else 0,
        "reason": result and result.reason,
    }
