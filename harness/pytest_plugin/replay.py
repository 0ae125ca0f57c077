"""The only place that touches pytest-benchmark: it is shown times that were measured elsewhere.

Its timer is a clock that stands still until a round's sample is played, so that its own statistics,
tables, files and comparisons hold the samples to the last bit.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from harness.errors import HarnessError


class ReplayClock:
    """A timer for pytest-benchmark: rewound before a round, and moved by the round's sample in it."""

    def __init__(self) -> None:
        self.__name__ = "harness"  # as saved files tell it
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def rewind(self) -> None:
        """Back to zero: a difference from any other time would round the sample."""
        self._now = 0.0

    def show(self, seconds: float) -> None:
        """So late is it now."""
        self._now = seconds


class Benchmark(Protocol):
    """What of pytest-benchmark's fixture is used here."""

    enabled: bool
    fullname: str
    has_error: bool
    extra_info: dict[str, Any]
    stats: Any

    def pedantic(self, target: Any, setup: Any = None, rounds: int = 1) -> Any: ...


def set_timer(node: pytest.Item, clock: ReplayClock) -> None:
    """Have pytest-benchmark read this clock in a test. Before its fixture is made."""
    mark = node.get_closest_marker("benchmark")
    options = dict(mark.kwargs) if mark else {}
    node.add_marker(pytest.mark.benchmark(**{**options, "timer": clock}), append=False)


def replay(benchmark: Benchmark, clock: ReplayClock, seconds: Sequence[float]) -> None:
    """Give pytest-benchmark these samples, a round each.

    Raises:
        HarnessError: they have not arrived as they are.
    """
    left = iter(seconds)
    # A profiler may ask for one round more.
    benchmark.pedantic(lambda: clock.show(next(left, 0.0)), setup=clock.rewind, rounds=len(seconds))
    if benchmark.stats.as_dict()["stats"]["data"] != list(seconds):
        from importlib import metadata

        raise HarnessError(
            f"pytest-benchmark {metadata.version('pytest-benchmark')} did not take the samples; a test may "
            "ask for harness_benchmark or for benchmark, not for both"
        )


def is_stored(config: pytest.Config, benchmark: Benchmark) -> bool:
    """Whether a run that ``--benchmark-compare`` loaded has it: others are not compared."""
    loaded = config._benchmarksession.compared_mapping or {}  # type: ignore[attr-defined]  # noqa: SLF001
    return any(benchmark.fullname in names for names in loaded.values())


def has_regressed(config: pytest.Config) -> bool:
    """Whether ``--benchmark-compare-fail`` found something; pytest-benchmark has come to its end by then."""
    return bool(config._benchmarksession.performance_regressions)  # type: ignore[attr-defined]  # noqa: SLF001


def leave_uncompared(config: pytest.Config, benchmark: Benchmark) -> None:
    """Have ``--benchmark-compare-fail``, where it is given, not judge what has been judged otherwise."""
    if config.getoption("--benchmark-compare-fail"):
        for names in (config._benchmarksession.compared_mapping or {}).values():  # type: ignore[attr-defined]  # noqa: SLF001
            names.pop(benchmark.fullname, None)


def mark_used(benchmark: Benchmark) -> None:
    """Where something failed before there were samples: else pytest-benchmark warns that it was not used."""
    if benchmark.stats is None:
        benchmark.has_error = True
        benchmark._mode = "harness_benchmark(...)"  # type: ignore[attr-defined]  # noqa: SLF001


def withdraw(benchmark: Benchmark) -> None:
    """Take the samples of an earlier attempt at the same test out of the tables and files."""
    benchmark.has_error = True
    if benchmark.stats is not None:
        benchmark.stats.stats.data.clear()
