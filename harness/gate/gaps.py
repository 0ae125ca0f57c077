"""What a suite once measured and its newest gates did not: no slip of that is seen."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.gate.reasons import Reason
from harness.gate.record import BenchmarkRecord, GateRecord, Metric, MetricResult


class Gap(NamedTuple):
    """Gates of one suite that did not measure a benchmark, ``first`` to ``last``, one after the other.

    ``metric`` is the one that they did not measure of it; None where they measured none. ``reasons`` are why
    the last of them did not; empty where the suite did not have the benchmark any more, or no limit for the
    metric. ``open`` where they are the newest gates of the suite that might have.
    """

    benchmark: str
    metric: Metric | None
    first: GateRecord
    last: GateRecord
    gates: int
    open: bool
    reasons: list[Reason]


class _Try(NamedTuple):
    """A gate, and what came of a benchmark or of a metric of it: whether it was measured, else why not."""

    gate: GateRecord
    measured: bool
    reasons: list[Reason]


def gaps(gates: Iterable[GateRecord]) -> list[Gap]:
    """Every gap after a first measurement, in gates that ran to their end.

    Suites are told apart by their file, so that two of them in one folder hide nothing and miss nothing.
    """
    usable = [gate for gate in gates if gate.status == "ok"]
    suites: dict[str, list[GateRecord]] = {}
    for gate in sorted(usable, key=lambda one: one.started_at):
        suites.setdefault(gate.suite, []).append(gate)
    return [gap for ordered in suites.values() for name in _names(ordered) for gap in _gaps_of(name, ordered)]


def _names(gates: Sequence[GateRecord]) -> list[str]:
    """In the order in which they first came."""
    return list(dict.fromkeys(one.name for gate in gates for one in gate.benchmarks))


def _gaps_of(name: str, gates: Sequence[GateRecord]) -> Iterable[Gap]:
    found = [(gate, next((one for one in gate.benchmarks if one.name == name), None)) for gate in gates]
    yield from _runs(name, None, [_tried(gate, benchmark) for gate, benchmark in found])
    told = [(gate, _told(benchmark)) for gate, benchmark in found if benchmark and _told(benchmark)]
    for metric in dict.fromkeys(metric for _, results in told for metric in results):
        yield from _runs(name, metric, [_tried_metric(gate, results.get(metric)) for gate, results in told])


def _runs(name: str, metric: Metric | None, tries: Sequence[_Try]) -> Iterable[Gap]:
    known = itertools.dropwhile(lambda one: not one.measured, tries)
    for measured, run in itertools.groupby(known, key=lambda one: one.measured):
        if not measured:
            missed = list(run)
            first, last = missed[0], missed[-1]
            is_open = last.gate is tries[-1].gate
            yield Gap(name, metric, first.gate, last.gate, len(missed), is_open, last.reasons)


def _told(benchmark: BenchmarkRecord) -> dict[Metric, MetricResult]:
    return {result.metric: result for result in benchmark.metrics}


def _tried(gate: GateRecord, benchmark: BenchmarkRecord | None) -> _Try:
    if benchmark is None:
        return _Try(gate, measured=False, reasons=[])
    reasons = [*benchmark.reasons, *_quality_reasons(benchmark)]
    return _Try(gate, measured=bool(benchmark.metrics), reasons=reasons)


def _quality_reasons(benchmark: BenchmarkRecord) -> list[Reason]:
    return [] if benchmark.quality is None else benchmark.quality.reasons


def _tried_metric(gate: GateRecord, result: MetricResult | None) -> _Try:
    if result is None:
        return _Try(gate, measured=False, reasons=[])
    return _Try(gate, measured=result.is_usable, reasons=result.reasons)
