"""The only module that touches pytest-benchmark: it passes on times that were measured elsewhere.

The timer of pytest-benchmark is a clock that moves only by the sample of the current round. So its
statistics, tables, files and comparisons contain the samples bit by bit.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from harness.errors import HarnessError


class ReplayClock:
    """A timer for pytest-benchmark: reset before each round, then advanced by the sample of the round."""

    def __init__(self) -> None:
        self.__name__ = "harness"  # appears in saved files
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def rewind(self) -> None:
        """Set to zero: a difference from any other time would round the sample."""
        self._now = 0.0

    def show(self, seconds: float) -> None:
        """Set to this time."""
        self._now = seconds


class Benchmark(Protocol):
    """The parts of pytest-benchmark's fixture that are used here."""

    enabled: bool
    fullname: str
    has_error: bool
    extra_info: dict[str, Any]
    stats: Any

    def pedantic(self, target: Any, setup: Any = None, rounds: int = 1) -> Any: ...


def set_timer(node: pytest.Item, clock: ReplayClock) -> None:
    """Let pytest-benchmark read this clock in a test. Call it before its fixture is made."""
    mark = node.get_closest_marker("benchmark")
    options = dict(mark.kwargs) if mark else {}
    node.add_marker(pytest.mark.benchmark(**{**options, "timer": clock}), append=False)


def replay(benchmark: Benchmark, clock: ReplayClock, seconds: Sequence[float]) -> None:
    """Pass these samples to pytest-benchmark, one per round.

    Raises:
        HarnessError: pytest-benchmark holds other samples afterwards.
    """
    left = iter(seconds)
    # A profiler may run one more round.
    benchmark.pedantic(lambda: clock.show(next(left, 0.0)), setup=clock.rewind, rounds=len(seconds))
    if benchmark.stats.as_dict()["stats"]["data"] != list(seconds):
        from importlib import metadata

        raise HarnessError(
            f"pytest-benchmark {metadata.version('pytest-benchmark')} did not store the samples; a test can "
            "use harness_benchmark or benchmark, not both"
        )


def is_stored(config: pytest.Config, benchmark: Benchmark) -> bool:
    """Check that a run loaded by ``--benchmark-compare`` contains the benchmark; only those are compared."""
    loaded = config._benchmarksession.compared_mapping or {}  # type: ignore[attr-defined]  # noqa: SLF001
    return any(benchmark.fullname in names for names in loaded.values())


def has_regressed(config: pytest.Config) -> bool:
    """Check for a regression by ``--benchmark-compare-fail``; known once pytest-benchmark has finished."""
    return bool(config._benchmarksession.performance_regressions)  # type: ignore[attr-defined]  # noqa: SLF001


def leave_uncompared(config: pytest.Config, benchmark: Benchmark) -> None:
    """Exclude a benchmark that has a verdict from ``--benchmark-compare-fail``."""
    if config.getoption("--benchmark-compare-fail"):
        for names in (config._benchmarksession.compared_mapping or {}).values():  # type: ignore[attr-defined]  # noqa: SLF001
            names.pop(benchmark.fullname, None)


def mark_used(benchmark: Benchmark) -> None:
    """Mark a benchmark that failed without samples; pytest-benchmark would warn that it was not used."""
    if benchmark.stats is None:
        benchmark.has_error = True
        benchmark._mode = "harness_benchmark(...)"  # type: ignore[attr-defined]  # noqa: SLF001


def withdraw(benchmark: Benchmark) -> None:
    """Remove the samples of an earlier attempt at the same test from tables and files."""
    benchmark.has_error = True
    if benchmark.stats is not None:
        benchmark.stats.stats.data.clear()
