"""The metrics of a gate from pairs of processes: log ratios of head over base, and both medians."""

import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from harness.timing.engine.findings import steady_step_seconds
from harness.timing.engine.ratios import (
    Ratios,
    control_log_ratio,
    step_ratios,
)
from harness.timing.engine.record import PairRecord, ProcessRecord
from harness.timing.environments.suite import Limits
from harness.timing.gate.record import (
    BenchmarkRecord,
    Metric,
    MetricResult,
)

#: Added to both first steps before they are divided, because milliseconds of a first step do not matter.
FIRST_STEP_FLOOR_SECONDS = 0.1
_BASE, _HEAD = 0, 1


def metric_ratios(
    pairs: Iterable[PairRecord], metric: Metric, batch_sizes: list[int], index: int = _HEAD
) -> Ratios:
    """Return the log ratios of a process over base; above 0 is worse.

    For the step, pairs lost to disturbances are left out and outliers are down-weighted, as in a duel; for
    the other metrics neither. Memory is the device's if both processes report it, else the host's.
    """
    if metric == "step":
        return step_ratios(pairs, index, batch_sizes)
    floor = FIRST_STEP_FLOOR_SECONDS if metric == "first step" else 0.0
    logs = [
        math.log((_value(pair, metric, index, _BASE) + floor) / (_value(pair, metric, _BASE, index) + floor))
        for pair in pairs
    ]
    return Ratios(np.array(logs))


def memory_bytes(process: ProcessRecord, other: ProcessRecord) -> float:
    """Return the peak memory of a process: the device's where the ``other`` process reports it, too."""
    on_device = "device_peak_memory_bytes"
    both = process.measured.get(on_device) and other.measured.get(on_device)
    return process.measured[on_device if both else "peak_memory_bytes"]


def benchmark_ratios(benchmark: BenchmarkRecord, metric: Metric, pairs: list[PairRecord]) -> Ratios:
    """Return the log ratios of some pairs of a benchmark."""
    return metric_ratios(pairs, metric, [ran.batch_size for ran in benchmark.configurations])


def ratios_behind(benchmark: BenchmarkRecord, result: MetricResult) -> Ratios:
    """Return the log ratios that a verdict rests on: after the look its pairs, else all.

    Pairs that were made for another metric after this metric was decided are left out.
    """
    pairs = list(benchmark.look)
    if result.stage == "confirmation":
        pairs += benchmark.confirmation
    return benchmark_ratios(benchmark, result.metric, pairs).first(result.pairs)


class PairedSeries(NamedTuple):
    """The ratios of one metric, of the pairs that were not lost; medians over processes.

    ``control`` are the log ratios ``(pairs,)`` of a fixed computation before the blocks. ``lost`` is the
    number of pairs lost to disturbances.
    """

    metric: Metric
    limit: float
    ratios: Ratios
    control: np.ndarray
    lost: int
    base: float
    head: float


def series(pairs: list[PairRecord], limits: Limits, batch_sizes: list[int]) -> list[PairedSeries]:
    """Return the series of each metric that has a limit. ``batch_sizes`` are base's and head's."""
    control = np.array([ratio for pair in pairs if (ratio := control_log_ratio(pair, _HEAD)) is not None])
    every = []
    for metric, limit in limits_of(limits).items():
        ratios = metric_ratios(pairs, metric, batch_sizes)
        lost = len(pairs) - len(ratios.logs)
        base, head = (
            statistics.median(_value(pair, metric, own, other) for pair in pairs)
            for own, other in ((_BASE, _HEAD), (_HEAD, _BASE))
        )
        every.append(PairedSeries(metric, limit, ratios, control, lost, base, head))
    return every


def limits_of(limits: Limits) -> dict[Metric, float]:
    """Return the limit of each judged metric; below 0 it is a saving that must be proven."""
    every: dict[Metric, float | None] = {
        "step": limits.max_slowdown if limits.min_speedup is None else -limits.min_speedup,
        "first step": limits.max_first_step_slowdown,
        "memory": limits.max_memory_growth,
    }
    return {metric: limit for metric, limit in every.items() if limit is not None}


def _value(pair: PairRecord, metric: Metric, index: int, other: int) -> float:
    """Return seconds or bytes of one process of a pair, which is compared with another."""
    process = pair.processes[index]
    match metric:
        case "step":
            return steady_step_seconds(pair, index)
        case "first step":
            return process.first_step_seconds
        case "memory":
            return memory_bytes(process, pair.processes[other])
