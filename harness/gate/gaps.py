"""Benchmarks and metrics that later gates of a suite no longer measured, so that regressions go unnoticed."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.gate.reasons import Reason
from harness.gate.record import BenchmarkRecord, GateRecord, Metric, MetricResult


class Gap(NamedTuple):
    """Successive gates of one suite, ``first`` to ``last``, that did not measure a benchmark.

    ``metric`` is the one that they did not measure; None: they measured none. ``reasons`` are those of the
    last of them; empty if the suite no longer had the benchmark, or no limit for the metric. ``open`` says
    that they are the newest gates of the suite.
    """

    benchmark: str
    metric: Metric | None
    first: GateRecord
    last: GateRecord
    gates: int
    open: bool
    reasons: list[Reason]


class _Attempt(NamedTuple):
    """Whether a gate measured a benchmark or a metric of it; else why not."""

    gate: GateRecord
    measured: bool
    reasons: list[Reason]


def gaps(gates: Iterable[GateRecord]) -> list[Gap]:
    """Every gap after a first measurement, in gates that ran to their end.

    Suites are distinguished by their file, so that two of them can share a folder.
    """
    suites: dict[str, list[GateRecord]] = {}
    for gate in sorted(gates, key=lambda gate: gate.started_at):
        if gate.status == "ok":
            suites.setdefault(gate.suite, []).append(gate)
    return [gap for ordered in suites.values() for name in _names(ordered) for gap in _gaps_of(name, ordered)]


def _names(gates: Sequence[GateRecord]) -> list[str]:
    """The benchmarks, in the order in which they first appeared."""
    return list(dict.fromkeys(benchmark.name for gate in gates for benchmark in gate.benchmarks))


def _gaps_of(name: str, gates: Sequence[GateRecord]) -> Iterable[Gap]:
    recorded = [
        (gate, next((benchmark for benchmark in gate.benchmarks if benchmark.name == name), None))
        for gate in gates
    ]
    yield from _runs(name, None, [_benchmark_attempt(gate, benchmark) for gate, benchmark in recorded])
    measured = [
        (gate, {result.metric: result for result in benchmark.metrics})
        for gate, benchmark in recorded
        if benchmark is not None and benchmark.metrics
    ]
    for metric in dict.fromkeys(metric for _, results in measured for metric in results):
        attempts = [_metric_attempt(gate, results.get(metric)) for gate, results in measured]
        yield from _runs(name, metric, attempts)


def _runs(name: str, metric: Metric | None, attempts: Sequence[_Attempt]) -> Iterable[Gap]:
    since_first = itertools.dropwhile(lambda attempt: not attempt.measured, attempts)
    for measured, run in itertools.groupby(since_first, key=lambda attempt: attempt.measured):
        if not measured:
            missed = list(run)
            first, last = missed[0], missed[-1]
            is_open = last.gate is attempts[-1].gate
            yield Gap(name, metric, first.gate, last.gate, len(missed), is_open, last.reasons)


def _benchmark_attempt(gate: GateRecord, benchmark: BenchmarkRecord | None) -> _Attempt:
    if benchmark is None:
        return _Attempt(gate, measured=False, reasons=[])
    quality = [] if benchmark.quality is None else benchmark.quality.reasons
    return _Attempt(gate, measured=bool(benchmark.metrics), reasons=[*benchmark.reasons, *quality])


def _metric_attempt(gate: GateRecord, result: MetricResult | None) -> _Attempt:
    if result is None:
        return _Attempt(gate, measured=False, reasons=[])
    return _Attempt(gate, measured=result.is_usable, reasons=result.reasons)
