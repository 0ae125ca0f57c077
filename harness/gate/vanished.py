"""Benchmarks that a suite once had and that its newest gates did not measure: no slip of theirs is seen."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.gate.record import BenchmarkRecord, GateRecord


class Gap(NamedTuple):
    """Gates of one suite that did not measure a benchmark, ``first`` to ``last``, one after the other.

    ``reason`` is why the last of them did not; empty where the suite did not have the benchmark any more.
    ``open`` where they are the newest gates of the suite.
    """

    benchmark: str
    first: GateRecord
    last: GateRecord
    gates: int
    open: bool
    reason: str


def gaps(gates: Iterable[GateRecord]) -> list[Gap]:
    """Every gap after a benchmark's first measurement, in gates that ran to their end.

    Suites are told apart by their file, so that two of them in one folder hide nothing and miss nothing.
    """
    usable = [gate for gate in gates if gate.status == "ok"]
    suites: dict[str, list[GateRecord]] = {}
    for gate in sorted(usable, key=lambda one: one.started_at):
        suites.setdefault(gate.suite, []).append(gate)
    return [gap for ordered in suites.values() for name in _names(ordered) for gap in _gaps_of(name, ordered)]


def _names(gates: Sequence[GateRecord]) -> list[str]:
    """In the order in which they were first measured."""
    return list(dict.fromkeys(one.name for gate in gates for one in gate.benchmarks if one.metrics))


def _gaps_of(name: str, gates: Sequence[GateRecord]) -> Iterable[Gap]:
    found = [(gate, next((one for one in gate.benchmarks if one.name == name), None)) for gate in gates]
    known = itertools.dropwhile(lambda pair: not _measured(pair[1]), found)
    for measured, run in itertools.groupby(known, key=lambda pair: _measured(pair[1])):
        if not measured:
            missed = list(run)
            last, benchmark = missed[-1]
            reason = benchmark.reason if benchmark else ""
            yield Gap(name, missed[0][0], last, len(missed), last is gates[-1], reason)


def _measured(benchmark: BenchmarkRecord | None) -> bool:
    return benchmark is not None and bool(benchmark.metrics)
