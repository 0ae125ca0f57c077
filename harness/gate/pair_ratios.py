"""What pairs of processes say of one metric: logarithms of head's over base's."""

import math
from collections.abc import Iterable

import numpy as np

from harness.duel.ratios import Ratios, step_ratios
from harness.duel.record import PairRecord, ProcessRecord
from harness.gate.record import BenchmarkRecord, Metric, MetricResult

#: Added to both first steps before they are divided: milliseconds of a first step are no one's loss.
FIRST_STEP_FLOOR_SECONDS = 0.1
_HEAD = 1


def metric_ratios(pairs: Iterable[PairRecord], metric: Metric, batch_sizes: list[int]) -> Ratios:
    """Above 0 is worse. Pairs of which disturbances left too few turns say nothing of the step.

    Of a step, outliers count so far only, as in a duel; of the others all alike. Memory is the device's where
    both processes know it, else the host's.
    """
    if metric == "step":
        return step_ratios(pairs, _HEAD, batch_sizes)
    one = _first_step if metric == "first step" else _memory
    return Ratios(np.array([one(*pair.processes) for pair in pairs]))


def _first_step(base: ProcessRecord, head: ProcessRecord) -> float:
    floor = FIRST_STEP_FLOOR_SECONDS
    return math.log((head.first_step_seconds + floor) / (base.first_step_seconds + floor))


def _memory(base: ProcessRecord, head: ProcessRecord) -> float:
    return math.log(memory_bytes(head, base) / memory_bytes(base, head))


def memory_bytes(process: ProcessRecord, other: ProcessRecord) -> int:
    """The peak memory of a process that is compared with the other's."""
    if process.device_peak_memory_bytes and other.device_peak_memory_bytes:
        return process.device_peak_memory_bytes
    return process.peak_memory_bytes


def benchmark_ratios(benchmark: BenchmarkRecord, metric: Metric, pairs: list[PairRecord]) -> Ratios:
    """Those of some pairs of a benchmark."""
    return metric_ratios(pairs, metric, [one.batch_size for one in benchmark.configurations])


def ratios_behind(benchmark: BenchmarkRecord, result: MetricResult) -> Ratios:
    """Those that a verdict rests on: of the look, of a FAIL once confirmed the fresh ones alone, else of all.

    Pairs that were made for another metric after this one had been decided are not among them.
    """
    pairs = [] if result.stage == "confirmation" and result.verdict == "FAIL" else list(benchmark.look)
    if result.stage == "confirmation":
        pairs += benchmark.confirmation
    return benchmark_ratios(benchmark, result.metric, pairs).first(result.pairs)
