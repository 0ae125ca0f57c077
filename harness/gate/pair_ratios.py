"""Log ratios of one metric, head over base, from pairs of processes."""

import math
from collections.abc import Iterable

import numpy as np

from harness.duel.ratios import Ratios, step_ratios
from harness.duel.record import PairRecord, ProcessRecord
from harness.gate.record import BenchmarkRecord, Metric, MetricResult

#: Added to both first steps before they are divided, because milliseconds of a first step do not matter.
FIRST_STEP_FLOOR_SECONDS = 0.1
_HEAD = 1


def metric_ratios(pairs: Iterable[PairRecord], metric: Metric, batch_sizes: list[int]) -> Ratios:
    """The log ratios; above 0 is worse. Of the step, pairs lost to disturbances are left out.

    Outliers are down-weighted in the step, as in a duel, and not in the other metrics. Memory is the device's
    if both processes report it, else the host's.
    """
    if metric == "step":
        return step_ratios(pairs, _HEAD, batch_sizes)
    log_ratio = _first_step if metric == "first step" else _memory
    return Ratios(np.array([log_ratio(*pair.processes) for pair in pairs]))


def _first_step(base: ProcessRecord, head: ProcessRecord) -> float:
    floor = FIRST_STEP_FLOOR_SECONDS
    return math.log((head.first_step_seconds + floor) / (base.first_step_seconds + floor))


def _memory(base: ProcessRecord, head: ProcessRecord) -> float:
    return math.log(memory_bytes(head, base) / memory_bytes(base, head))


def memory_bytes(process: ProcessRecord, other: ProcessRecord) -> int:
    """The peak memory of a process, of the kind that the other process reports too."""
    if process.device_peak_memory_bytes and other.device_peak_memory_bytes:
        return process.device_peak_memory_bytes
    return process.peak_memory_bytes


def benchmark_ratios(benchmark: BenchmarkRecord, metric: Metric, pairs: list[PairRecord]) -> Ratios:
    """The log ratios of some pairs of a benchmark."""
    return metric_ratios(pairs, metric, [ran.batch_size for ran in benchmark.configurations])


def ratios_behind(benchmark: BenchmarkRecord, result: MetricResult) -> Ratios:
    """The log ratios that a verdict rests on: after the look its pairs, else all.

    Pairs that were made for another metric after this one was decided are left out. By the earlier rule a
    FAIL rests on the pairs of the confirmation alone.
    """
    fresh_alone = result.stage == "confirmation" and result.verdict == "FAIL" and result.level is None
    pairs = [] if fresh_alone else list(benchmark.look)
    if result.stage == "confirmation":
        pairs += benchmark.confirmation
    return benchmark_ratios(benchmark, result.metric, pairs).first(result.pairs)
