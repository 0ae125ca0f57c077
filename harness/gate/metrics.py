"""The metrics of a gate from pairs of processes: log ratios of head over base, and both medians."""

import statistics
from typing import NamedTuple

import numpy as np

from harness.duel.findings import steady_step_seconds
from harness.duel.log_ratios import control_log_ratio
from harness.duel.ratios import Ratios
from harness.duel.record import PairRecord
from harness.gate.pair_ratios import memory_bytes, metric_ratios
from harness.gate.record import Metric
from harness.gate.suite import Limits

_BASE, _HEAD = 0, 1


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
    """The series of each metric that has a limit. ``batch_sizes`` are base's and head's."""
    control = np.array([ratio for pair in pairs if (ratio := control_log_ratio(pair, _HEAD)) is not None])
    every = []
    for metric, limit in limits_of(limits).items():
        ratios = metric_ratios(pairs, metric, batch_sizes)
        lost = len(pairs) - len(ratios.logs)
        base, head = (_median(pairs, metric, index) for index in (_BASE, _HEAD))
        every.append(PairedSeries(metric, limit, ratios, control, lost, base, head))
    return every


def limits_of(limits: Limits) -> dict[Metric, float]:
    """The limit of each metric that is judged."""
    every: dict[Metric, float | None] = {
        "step": limits.max_slowdown,
        "first step": limits.max_first_step_slowdown,
        "memory": limits.max_memory_growth,
    }
    return {metric: limit for metric, limit in every.items() if limit is not None}


def _median(pairs: list[PairRecord], metric: Metric, index: int) -> float:
    return statistics.median(_value(pair, metric, index) for pair in pairs)


def _value(pair: PairRecord, metric: Metric, index: int) -> float:
    """Seconds or bytes of one process of a pair."""
    process, other = pair.processes[index], pair.processes[1 - index]
    match metric:
        case "step":
            return steady_step_seconds(pair, index)
        case "first step":
            return process.first_step_seconds
        case "memory":
            return memory_bytes(process, other)
