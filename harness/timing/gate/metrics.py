"""The metrics of a gate from pairs of processes: log ratios of head over base, and both medians."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from harness.timing.engine.ratios import Ratios, control_log_ratio, step_ratios
from harness.timing.engine.record import PairRecord
from harness.timing.environments.suite import Limits
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.record import BenchmarkRecord, MetricResult

_BASE, _HEAD = 0, 1


def metric_ratios(
    pairs: Iterable[PairRecord], metric: MetricName, batch_sizes: list[int], index: int = _HEAD
) -> Ratios:
    """Return the log ratios of a process over base; above 0 is worse.

    For the step, pairs lost to disturbances are left out and outliers are down-weighted, as in a duel; for
    a quantity, pairs in which a process has no value are left out.
    """
    if metric == "step":
        return step_ratios(pairs, index, batch_sizes)
    judged = metrics()[metric]
    logs = [log for pair in pairs if (log := judged.log_ratio(pair, index, _BASE)) is not None]
    return Ratios(np.array(logs))


def benchmark_ratios(benchmark: BenchmarkRecord, metric: MetricName, pairs: list[PairRecord]) -> Ratios:
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

    metric: MetricName
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
        of_base, of_head = (
            [value for pair in pairs if (value := metrics()[metric].value(pair, own, other)) is not None]
            for own, other in ((_BASE, _HEAD), (_HEAD, _BASE))
        )
        if pairs and not (of_base and of_head):
            continue  # a quantity that base or head does not measure
        ratios = metric_ratios(pairs, metric, batch_sizes)
        lost = len(pairs) - len(ratios.logs)
        base, head = statistics.median(of_base), statistics.median(of_head)
        every.append(PairedSeries(metric, limit, ratios, control, lost, base, head))
    return every


def limits_of(limits: Limits) -> dict[MetricName, float]:
    """Return the limit of each metric that is judged; below 0 it is a saving that must be proven."""
    every = {metric.name: limits.of(metric.key) for metric in metrics().values()}
    if limits.min_speedup is not None:
        every["step"] = -limits.min_speedup
    return {metric: limit for metric, limit in every.items() if limit is not None}
