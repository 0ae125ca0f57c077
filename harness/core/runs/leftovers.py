"""Leftovers of killed processes in a results folder: lost runs, unfinished files and stale claims."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from harness.core.documents.kinds import UnreadableRecord
from harness.core.machine.leftovers import Leftover, older_than, remove_path, size_of
from harness.core.runs.claims import claim_paths, is_stale, remove_stale
from harness.core.runs.store import RUNS, files_of

_UNFINISHED = re.compile(r"\..+\.(?P<pid>\d{1,9})\.tmp")
#: Writing a file takes less. Its process may be on another host, whose process IDs mean nothing here.
_LONGEST_WRITE_SECONDS = 60.0


def leftovers(results: Path) -> Iterator[Leftover]:
    """Yield files that are no longer needed, but no records of runs that have ended, in whatever way."""
    for path in RUNS.paths(results):
        if _is_lost(path):
            yield Leftover("lost run", path, size_of(files_of(path)), functools.partial(_remove_run, path))
    for path in older_than(_LONGEST_WRITE_SECONDS, sorted(results.glob("*/.*.tmp"))):
        match = _UNFINISHED.fullmatch(path.name)
        if match and path.is_file() and not psutil.pid_exists(int(match["pid"])):
            yield Leftover("unfinished file", path, size_of([path]), functools.partial(remove_path, path))
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
