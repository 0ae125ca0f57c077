"""What one pair of processes says of one metric: the logarithm of head's over base's."""

import math

from harness.duel.pairs import log_ratio
from harness.duel.record import PairRecord, ProcessRecord
from harness.gate.record import BenchmarkRecord, Metric, MetricResult

#: Added to both first steps before they are divided: milliseconds of a first step are no one's loss.
FIRST_STEP_FLOOR_SECONDS = 0.1
_BASE, _HEAD = 0, 1


def pair_log_ratio(pair: PairRecord, metric: Metric, batch_sizes: list[int]) -> float | None:
    """Above 0 is worse. None where disturbances left too few turns of a step to tell.

    Memory is the device's where both processes know it, else the host's.
    """
    if metric == "step":
        return log_ratio(pair, _HEAD, batch_sizes)
    base, head = pair.processes
    if metric == "first step":
        floor = FIRST_STEP_FLOOR_SECONDS
        return math.log((head.first_step_seconds + floor) / (base.first_step_seconds + floor))
    return math.log(memory_bytes(head, base) / memory_bytes(base, head))


def memory_bytes(process: ProcessRecord, other: ProcessRecord) -> int:
    """The peak memory of a process that is compared with the other's."""
    if process.device_peak_memory_bytes and other.device_peak_memory_bytes:
        return process.device_peak_memory_bytes
    return process.peak_memory_bytes


def pair_log_ratios(benchmark: BenchmarkRecord, metric: Metric, pairs: list[PairRecord]) -> list[float]:
    """Those of several pairs of a benchmark, less the pairs that do not tell."""
    batch_sizes = [side.batch_size for side in benchmark.sides]
    told = (pair_log_ratio(pair, metric, batch_sizes) for pair in pairs)
    return [ratio for ratio in told if ratio is not None]


def log_ratios_behind(benchmark: BenchmarkRecord, result: MetricResult) -> list[float]:
    """Those that a verdict rests on: of the look, of a FAIL once confirmed the fresh ones alone, else of all.

    Pairs that were made for another metric after this one had been decided are not among them.
    """
    pairs = [] if result.stage == "confirmation" and result.verdict == "FAIL" else list(benchmark.look)
    if result.stage == "confirmation":
        pairs += benchmark.confirmation
    return pair_log_ratios(benchmark, result.metric, pairs)[: result.pairs]
