"""The suite as base had it: its settings judge head, and a benchmark that head removed fails."""

import contextlib
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.errors import UsageError
from harness.timing.environments.suite import WORK, Benchmark, Suite
from harness.timing.environments.suite_file import find_suite, read_suite, suite_table


class SuiteInForce(NamedTuple):
    """The suite of a gate: head's benchmarks, with base's limits where base has the benchmark.

    ``difference`` has the lines of base's suite (``-``) and of head's (``+``) that differ. ``new`` are the
    benchmarks that base lacks, ``removed`` those that head lacks.
    """

    suite: Suite
    difference: list[str] = []  # noqa: RUF012
    new: frozenset[str] = frozenset()
    removed: tuple[Benchmark, ...] = ()


def suite_of_commit(suite: Suite, top: Path, tree: Path, looked_in: Path | None = None) -> Path | None:
    """Find the suite in the worktree ``tree`` of a commit, at the place of ``suite`` in the repository.

    ``looked_in`` is the folder of the repository in which the suite was found, if it was not named. None
    where the commit has no suite there that can be read.
    """
    file = Path(suite.file).resolve()
    with contextlib.suppress(UsageError):
        if looked_in is not None:
            found = find_suite(tree / looked_in)
        elif file.is_relative_to(top):
            found = tree / file.relative_to(top)
        else:
            return None
        read_suite(found)
        return found
    return None


def suite_in_force(head: Suite, base_file: Path | None) -> SuiteInForce:
    """Return the suite of a gate: head's says what runs, and base's how it is measured and judged."""
    if base_file is None:
        return SuiteInForce(head)
    base = read_suite(base_file)
    before = {each.name: each for each in base.benchmarks}
    names = {each.name for each in head.benchmarks}
    judged = tuple(_judged_by(before.get(each.name), each) for each in head.benchmarks)
    return SuiteInForce(
        msgspec.structs.replace(head, benchmarks=judged, false_alarms=base.false_alarms, source=base.source),
        _difference(base_file, Path(head.file)),
        frozenset(names.difference(before)),
        tuple(each for each in base.benchmarks if each.name not in names),
    )


_JUDGING = tuple(name for name in Benchmark.__struct_fields__ if name not in WORK)


def _judged_by(before: Benchmark | None, now: Benchmark) -> Benchmark:
    """Return the work of ``now``, measured and judged as ``before`` says; a new benchmark as it is."""
    if before is None:
        return now
    return msgspec.structs.replace(now, **{name: getattr(before, name) for name in _JUDGING})


def _difference(base: Path, head: Path) -> list[str]:
    ours, theirs = ([*_settings(suite_table(each))] for each in (base, head))
    compared = difflib.unified_diff(ours, theirs, n=0, lineterm="")
    return [line for line in compared if not line.startswith(("---", "+++", "@@"))]


def _settings(table: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each setting of a suite, such as ``benchmarks.cnn.threads = 2``, in order."""
    if isinstance(table, dict):
        for key in sorted(table):
            yield from _settings(table[key], f"{path}.{key}" if path else key)
    else:
        yield f"{path} = {json.dumps(table, default=str)}"
