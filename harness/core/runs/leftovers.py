"""Leftovers of killed processes: lost runs, unfinished files, temporary folders and stale claims."""

import functools
from collections.abc import Iterator
from pathlib import Path

from harness.core.documents.kinds import UnreadableRecord
from harness.core.machine.guarded_folder import abandoned_in_caches
from harness.core.machine.leftovers import Leftover, remove_path, size_of
from harness.core.machine.ownership import abandoned, remove_abandoned
from harness.core.runs.claims import claim_paths, is_stale, remove_stale
from harness.core.runs.store import RUNS, files_of


def leftovers(results: Path) -> Iterator[Leftover]:
    """Yield files that are no longer needed, but no records of runs that have ended, in whatever way."""
    for path in RUNS.paths(results):
        if _is_lost(path):
            yield Leftover("lost run", path, size_of(files_of(path)), functools.partial(_remove_run, path))
    for path in dict.fromkeys([*abandoned(sorted(results.glob("*/"))), *abandoned_in_caches()]):
        kind = "temporary folder" if path.is_dir() else "unfinished file"
        yield Leftover(kind, path, size_of([path]), functools.partial(remove_abandoned, path))
    for path in claim_paths(results):
        if is_stale(path):
            yield Leftover("stale claim", path, size_of([path]), functools.partial(_remove_claim, path))


def _is_lost(path: Path) -> bool:
    try:
        return RUNS.read(path).status == "lost"
    except UnreadableRecord:
        return False


def _remove_run(path: Path) -> None:
    if _is_lost(path):
        for file in reversed(files_of(path)):
            remove_path(file)


def _remove_claim(path: Path) -> None:
    remove_stale(path)
