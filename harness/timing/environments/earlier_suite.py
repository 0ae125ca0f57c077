"""The suite as base had it: its settings judge head, and a benchmark that head removed is noticed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.errors import HarnessError, UsageError
from harness.timing.environments import git
from harness.timing.environments.record import Side, SuiteChange, SuiteComparison
from harness.timing.environments.suite import WORK, Benchmark, Suite, limit_units, work_of
from harness.timing.environments.suite_file import SUITE_FILES, benchmark_of, benchmark_tables, read_suite


class EarlierSuite(NamedTuple):
    """Base's suite, and why it cannot be read as a whole, if it cannot.

    Of a benchmark in ``partial``, which this version of harness refuses, backend, task and step are known.
    """

    benchmarks: dict[str, Benchmark]
    whole: Suite | None
    unreadable: str = ""
    partial: frozenset[str] = frozenset()


def suite_of_file(base_suite: Path) -> EarlierSuite:
    """Return the suite in the file ``base_suite``.

    Raises:
        UsageError: the file cannot be read or has no benchmark.
    """
    earlier = _read(base_suite)
    if earlier is None:
        raise UsageError(f"--base-suite {base_suite} has no benchmark; give the suite as base had it")
    return earlier


def suite_of_commit(
    suite: Suite, top: Path, tree: Path, looked_in: Path | None = None
) -> EarlierSuite | None:
    """Return the suite of a commit, of which ``tree`` is a worktree; ``suite`` is head's.

    It is, in this order: the file that a command without ``--suite`` finds, if ``suite`` was found so, in the
    folder ``looked_in`` of the repository; the file where the suite is now; the file that git says it was
    moved from; a usual place that has no suite any more. None where none can be read.
    """
    for name in _earlier_places(Path(suite.file), top, tree, looked_in):
        with contextlib.suppress(UsageError):
            if earlier := _read(tree / name):
                return earlier
    return None


def _read(path: Path) -> EarlierSuite | None:
    """Read a suite of base; None where it has no benchmark.

    Raises:
        UsageError: the file cannot be read.
    """
    tables = benchmark_tables(path)
    if not tables:
        return None
    try:
        whole = read_suite(path)
    except UsageError as error:  # of another version of harness
        unreadable = str(error).replace(str(path), f"base's {path.name}")
    else:
        return EarlierSuite({each.name: each for each in whole.benchmarks}, whole)
    benchmarks, partial = {}, set()
    for name, table in tables.items():
        values = table if isinstance(table, dict) else {}
        try:
            benchmarks[name] = benchmark_of(name, values, {}, name)
        except UsageError:
            backend, task, step = (str(values.get(key, "")) for key in ("backend", "task", "step"))
            benchmarks[name] = Benchmark(name=name, backend=backend, task=task, step=step)
            partial.add(name)
    return EarlierSuite(benchmarks, None, unreadable, frozenset(partial))


class SuiteInForce(NamedTuple):
    """The suite of a gate, how head's differs from base's, and the benchmarks that only base's has.

    ``vanished`` are the benchmarks of base that head's suite lacks or writes otherwise, of which only an
    environment can determine if they are the same work. None: base's suite is unknown.
    """

    suite: Suite
    comparison: SuiteComparison = SuiteComparison()
    vanished: tuple[Benchmark, ...] | None = None


def suite_in_force(head: Suite, earlier: EarlierSuite | None, suite_from: Side | None) -> SuiteInForce:
    """Return the suite that ``head`` and the ``earlier`` suite of base make.

    Head's suite says what runs. Base's says how a benchmark that it has is measured and judged, unless
    ``suite_from`` is "head" or base's cannot be read.

    Raises:
        UsageError: ``suite_from`` is "base", and base's suite cannot be read.
    """
    if earlier is None or earlier.whole is None:
        why = "base has no suite that is known" if earlier is None else earlier.unreadable
        if suite_from == "base":
            raise UsageError(f"--suite-from base: {why}; give --base-suite FILE, or --suite-from head")
        if earlier is None:
            return SuiteInForce(head)
        return SuiteInForce(head, SuiteComparison(unreadable=why), vanished(head, earlier))
    before = earlier.whole
    new = [each.name for each in head.benchmarks if each.name not in earlier.benchmarks]
    in_force: Side = suite_from or "base"
    comparison = SuiteComparison(in_force=in_force, changes=_changes(before, head, earlier), new=new)
    if in_force == "base":
        benchmarks = tuple(_judged_by(earlier.benchmarks.get(each.name), each) for each in head.benchmarks)
        head_of = {"false_alarms": before.false_alarms, "source": before.source}
        suite = msgspec.structs.replace(head, benchmarks=benchmarks, **head_of)
    else:
        suite = head
    return SuiteInForce(suite, comparison, vanished(head, earlier))


def vanished(suite: Suite, earlier: EarlierSuite) -> tuple[Benchmark, ...]:
    """Return the benchmarks of an ``earlier`` suite that ``suite`` lacks or writes otherwise."""
    gone: list[Benchmark] = []
    now = {benchmark.name: benchmark for benchmark in suite.benchmarks}
    for name, before in earlier.benchmarks.items():
        same = _program_of if name in earlier.partial else work_of
        if name not in now or same(before) != same(now[name]):
            gone.append(before)
    return tuple(gone)


def _program_of(benchmark: Benchmark) -> str:
    return benchmark.step or f"{benchmark.backend} on {benchmark.task}"


_JUDGING = tuple(name for name in Benchmark.__struct_fields__ if name not in WORK)


def _judged_by(before: Benchmark | None, now: Benchmark) -> Benchmark:
    """Return the work of ``now``, measured and judged as ``before`` says; a new benchmark as it is."""
    if before is None:
        return now
    return msgspec.structs.replace(now, **{name: getattr(before, name) for name in _JUDGING})


def _changes(before: Suite, now: Suite, earlier: EarlierSuite) -> list[SuiteChange]:
    """Return the settings that differ, each with the benchmarks in which it does; the loosened first."""
    found: dict[tuple[str, Any, Any], list[str]] = {}
    for key in ("false_alarms", "source"):
        if getattr(before, key) != getattr(now, key):
            found[key, getattr(before, key), getattr(now, key)] = []
    for benchmark in now.benchmarks:
        if benchmark.name in earlier.benchmarks:
            ours, theirs = map(_settings, (earlier.benchmarks[benchmark.name], benchmark))
            for key, value in ours.items():
                if value != theirs[key]:
                    found.setdefault((key, value, theirs[key]), []).append(benchmark.name)
    changes = [
        SuiteChange(key=key, base=base, head=head, benchmarks=names, loosens=_loosens(key, base, head))
        for (key, base, head), names in found.items()
    ]
    return sorted(changes, key=lambda change: not change.loosens)


def _settings(benchmark: Benchmark) -> dict[str, Any]:
    """Return how a benchmark is measured and judged, by the keys of suites."""
    own = {name: getattr(benchmark, name) for name in _JUDGING if name != "limits"}
    return {**{key: benchmark.limits.of(key) for key in limit_units()}, **own}


#: Settings of which the smaller value is the looser one.
_SMALLER_IS_LOOSER = frozenset({"false_alarms", "compare_calls", "min_speedup"})


def _loosens(key: str, base: Any, head: Any) -> bool:
    """Check that head's value of a setting lets more pass than base's.

    Without a value a limit is not judged; without ``max_accuracy_loss`` every difference fails. A
    ``tolerance`` and the measured one that it replaces cannot be compared; ``source`` says what is judged.
    """
    if key in {"source", "values", "seed"}:
        return key == "source" or head in {"differ", "own"}
    if key == "tolerance":
        return base is None or head is None or head > base
    if key in _SMALLER_IS_LOOSER:
        return head is None or (base is not None and head < base)
    if key == "max_accuracy_loss":
        return base is None or (head is not None and head > base)
    return key in limit_units() and (head is None or (base is not None and head > base))


def _earlier_places(file: Path, top: Path, tree: Path, looked_in: Path | None) -> Iterator[str]:
    """Yield the places where the suite may have been in the commit, the likeliest first."""
    if looked_in is not None:
        yield from (str(looked_in / name) for name in SUITE_FILES)
    # As it is written first: a link that head made of the file must not lead away from base's.
    written, real = Path(os.path.abspath(file)), file.resolve()  # noqa: PTH100  which follows no links
    for now in dict.fromkeys(
        str(each.relative_to(top)) for each in (written, real) if each.is_relative_to(top)
    ):
        yield now
        with contextlib.suppress(HarnessError):  # a clone without blobs may be unable to look
            yield from git.earlier_names(now, top, tree)
    yield from (name for name in SUITE_FILES if not _has_benchmarks(top / name))


def _has_benchmarks(path: Path) -> bool:
    try:
        return bool(benchmark_tables(path))
    except UsageError:
        return False
