"""What pairs of processes tell of each metric: log ratios of head over base, and both medians."""

import math
import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from harness.duel.findings import steady_step_seconds
from harness.duel.pairs import control_log_ratio, log_ratio
from harness.duel.record import PairRecord, ProcessRecord
from harness.gate.record import Metric
from harness.gate.suite import Limits

#: Added to both first steps before they are divided: milliseconds of a first step are no one's loss.
FIRST_STEP_FLOOR_SECONDS = 0.1
_BASE, _HEAD = 0, 1


class Series(NamedTuple):
    """Log ratios ``(pairs,)`` of one metric, of the pairs that were not lost; medians over processes.

    ``control`` are the log ratios ``(pairs,)`` of a fixed work before the sides' blocks. ``lost`` pairs
    were disturbed.
    """

    metric: Metric
    limit: float
    logs: np.ndarray
    control: np.ndarray
    lost: int
    base: float
    head: float


def series(pairs: list[PairRecord], limits: Limits, batch_sizes: list[int]) -> list[Series]:
    """The series of each metric that has a limit. ``batch_sizes`` are base's and head's."""
    control = np.array([ratio for pair in pairs if (ratio := control_log_ratio(pair, _HEAD)) is not None])
    made = []
    for metric, limit in limits_of(limits).items():
        tell = _TELLERS[metric]
        logs = [tell(pair, batch_sizes) for pair in pairs]
        kept = np.array([ratio for ratio in logs if ratio is not None])
        base, head = (_median(pairs, metric, side) for side in (_BASE, _HEAD))
        made.append(Series(metric, limit, kept, control, len(pairs) - len(kept), base, head))
    return made


def limits_of(limits: Limits) -> dict[Metric, float]:
    """The limit of each metric that is judged."""
    every: dict[Metric, float | None] = {
        "step": limits.max_slowdown,
        "first step": limits.max_first_step_slowdown,
        "memory": limits.max_memory_growth,
    }
    return {metric: limit for metric, limit in every.items() if limit is not None}


def _median(pairs: list[PairRecord], metric: Metric, side: int) -> float:
    return statistics.median(_of_process(pair, metric, side) for pair in pairs)


def _of_process(pair: PairRecord, metric: Metric, side: int) -> float:
    process = pair.processes[side]
    match metric:
        case "step":
            return steady_step_seconds(pair, side)
        case "first step":
            return process.first_step_seconds
        case "memory":
            return _memory(process)


def _memory(process: ProcessRecord) -> float:
    return process.peak_memory_bytes + (process.device_peak_memory_bytes or 0)


def _step(pair: PairRecord, batch_sizes: list[int]) -> float | None:
    return log_ratio(pair, _HEAD, batch_sizes)


def _first_step(pair: PairRecord, _batch_sizes: list[int]) -> float | None:
    base, head = (process.first_step_seconds + FIRST_STEP_FLOOR_SECONDS for process in pair.processes)
    return math.log(head / base)


def _peak_memory(pair: PairRecord, _batch_sizes: list[int]) -> float | None:
    base, head = map(_memory, pair.processes)
    return math.log(head / base)


_TELLERS: Mapping[Metric, Callable[[PairRecord, list[int]], float | None]] = {
    "step": _step,
    "first step": _first_step,
    "memory": _peak_memory,
}
