"""The suite as base had it, so that a benchmark that head removed or replaced does not go unnoticed."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.timing.environments import git
from harness.timing.environments.suite import Benchmark, Suite, work_of
from harness.timing.environments.suite_file import SUITE_FILES, benchmark_of, benchmark_tables


def vanished_from_file(suite: Suite, base_suite: Path) -> tuple[Benchmark, ...]:
    """Return the benchmarks of ``base_suite`` that ``suite`` lacks or has changed: see :func:`vanished`.

    Raises:
        UsageError: the file cannot be read or has no benchmark.
    """
    tables = benchmark_tables(base_suite)
    if not tables:
        raise UsageError(f"--base-suite {base_suite} has no benchmark; give the suite as base had it")
    return vanished(suite, tables)


def vanished_from_commit(
    suite: Suite, top: Path, tree: Path, looked_in: Path | None = None
) -> tuple[Benchmark, ...] | None:
    """Return the benchmarks that a commit's suite has and ``suite`` lacks or has changed.

    The suite in the worktree ``tree`` is, in this order: the file that a command without ``--suite`` finds,
    if ``suite`` was found so, in the folder ``looked_in`` of the repository; the file where the suite is now;
    the file that git says it was moved from; a usual place that has no suite any more. None where none can be
    read.
    """
    for name in _earlier_places(Path(suite.file).resolve(), top, tree, looked_in):
        if tables := _tables(tree / name):
            return vanished(suite, tables)
    return None


def vanished(suite: Suite, earlier: Mapping[str, Any]) -> tuple[Benchmark, ...]:
    """Return the benchmarks of an ``earlier`` suite that ``suite`` lacks or writes otherwise.

    A benchmark that is written otherwise may still be the same work, which only an environment can determine.
    """
    gone: list[Benchmark] = []
    now = {benchmark.name: benchmark for benchmark in suite.benchmarks}
    for name, table in earlier.items():
        values = table if isinstance(table, dict) else {}
        try:
            before, same = benchmark_of(name, values, {}, name), work_of
        except UsageError:  # of another version of harness
            backend, task = str(values.get("backend", "")), str(values.get("task", ""))
            before, same = Benchmark(name=name, backend=backend, task=task), _program_of
        if name not in now or same(before) != same(now[name]):
            gone.append(before)
    return tuple(gone)


def _program_of(benchmark: Benchmark) -> str:
    return f"{benchmark.backend} on {benchmark.task}"


def _earlier_places(file: Path, top: Path, tree: Path, looked_in: Path | None) -> Iterator[str]:
    """Yield the places where the suite may have been in the commit, the likeliest first."""
    if looked_in is not None:
        yield from (str(looked_in / name) for name in SUITE_FILES)
    if file.is_relative_to(top):
        now = str(file.relative_to(top))
        yield now
        with contextlib.suppress(HarnessError):  # a clone without blobs may be unable to look
            yield from git.earlier_names(now, top, tree)
    yield from (name for name in SUITE_FILES if not _tables(top / name))


def _tables(path: Path) -> dict[str, Any]:
    """Return the tables of a suite's benchmarks; empty where there is no readable suite."""
    try:
        return benchmark_tables(path)
    except UsageError:
        return {}
