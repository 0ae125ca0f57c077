"""Files and folders that nothing needs any more, to be shown before they are removed."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class Leftover(NamedTuple):
    """Something to remove: its kind in words, where it is, and ``remove``, which looks again first.

    ``remove`` raises :class:`OSError` where it cannot.
    """

    kind: str
    path: Path
    size_bytes: int
    remove: Callable[[], None]


class Found(NamedTuple):
    """What can be removed, and a sentence about what of the same kind is kept."""

    items: list[Leftover]
    kept: str = ""


class LeftoverSource(NamedTuple):
    """Where leftovers come from: their kinds, each with a line about it, and how to find them.

    ``find`` takes the results folder.
    """

    kinds: Mapping[str, str]
    find: Callable[[Path], Found]


def size_of(paths: Iterable[Path]) -> int:
    """Sum the bytes of files and folders, without paths that have disappeared."""
    total = 0
    for path in paths:
        files = [path] if not path.is_dir() or path.is_symlink() else path.rglob("*")
        for file in files:
            with contextlib.suppress(OSError):
                total += file.lstat().st_size
    return total


def older_than(seconds: float, paths: Iterable[Path]) -> Iterable[Path]:
    """Select the leftovers whose last change is longer ago than ``seconds``."""
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > seconds:
                yield path


def remove_path(path: Path) -> None:
    """Remove a file or a folder; a path that is already removed is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
