"""What one pair of processes says of one metric: the logarithm of head's over base's."""

import math

from harness.duel.pairs import log_ratio
from harness.duel.record import PairRecord, ProcessRecord
from harness.gate.record import BenchmarkRecord, Metric

_BASE, _HEAD = 0, 1


def pair_log_ratio(pair: PairRecord, metric: Metric, batch_sizes: list[int]) -> float | None:
    """Above 0 is worse. None where disturbances left too few turns of a step to tell.

    Memory is the device's where both processes know it, else the host's.
    """
    if metric == "step":
        return log_ratio(pair, _HEAD, batch_sizes)
    base, head = pair.processes
    if metric == "first step":
        return math.log(head.first_step_seconds / base.first_step_seconds)
    return math.log(_memory(head, base) / _memory(base, head))


def _memory(process: ProcessRecord, other: ProcessRecord) -> int:
    if process.device_peak_memory_bytes and other.device_peak_memory_bytes:
        return process.device_peak_memory_bytes
    return process.peak_memory_bytes


def pair_log_ratios(benchmark: BenchmarkRecord, metric: Metric, pairs: list[PairRecord]) -> list[float]:
    """Those of several pairs of a benchmark, less the pairs that do not tell."""
    batch_sizes = [side.batch_size for side in benchmark.sides]
    told = (pair_log_ratio(pair, metric, batch_sizes) for pair in pairs)
    return [ratio for ratio in told if ratio is not None]
