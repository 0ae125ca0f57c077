"""The folder of all environments in the user's cache: names, locks, ages and sizes."""

import contextlib
import datetime
import fcntl
import functools
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.core.machine.cache import cache_folder
from harness.core.machine.leftovers import Leftover, older_than, remove_path
from harness.errors import UsageError


class Progress(Protocol):
    """An observer of an installation."""

    def doing(self, activity: str, /) -> None:
        """Follow the beginning of ``activity``."""

    def show(self, activity: str, /) -> None:
        """Show what pip does at the moment; many lines."""


_DAY_SECONDS = 86400.0
_KEPT_SECONDS = 2 * _DAY_SECONDS
#: A file in an environment that is complete, so that later commands of the day use it.
COMPLETE = ".complete-by-harness"
_KEY_DIGITS = 16


def place_of(kind: str, *identity: str) -> Path:
    """Return where the environment is kept that this Python and these settings of pip make today."""
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_"))
    parts = [kind, *identity, sys.version, sys.base_prefix, str(today()), *settings]
    key = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:_KEY_DIGITS]
    return _cache() / f"{kind}-{key}"


@contextlib.contextmanager
def exclusive(venv: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of an environment; another process that needs it waits.

    Raises:
        UsageError: the cache is not writable.
    """
    with contextlib.ExitStack() as stack:
        try:
            venv.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(venv.with_suffix(".lock").open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.doing(f"waiting for another command that uses {venv}")
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(
                f"environments cannot be kept in {venv.parent}: {error.strerror}; set HARNESS_CACHE_DIR to "
                "another folder"
            ) from error
        yield


def remove_old() -> None:
    """Delete environments of earlier days: with a framework each takes about a gigabyte."""
    for venv in older_than(_KEPT_SECONDS, _environments()):
        shutil.rmtree(venv, ignore_errors=True)


class Environments(NamedTuple):
    """The environments of earlier days, which are not used again; the number and bytes of the others."""

    old: list[Leftover]
    kept: int
    kept_bytes: int


def environments_in_cache() -> Environments:
    """Find all environments; files that several share count once, as kept if one of these is kept."""
    every = _environments()
    old = [*older_than(_DAY_SECONDS, every)]
    kept = [venv for venv in every if venv not in old]
    seen: set[tuple[int, int]] = set()
    kept_bytes = _bytes_beyond(seen, kept)
    leftovers = [
        Leftover("environment", venv, _bytes_beyond(seen, [venv]), functools.partial(remove_path, venv))
        for venv in old
    ]
    return Environments(leftovers, len(kept), kept_bytes)


def _bytes_beyond(seen: set[tuple[int, int]], folders: Iterable[Path]) -> int:
    """Count the bytes of files in ``folders``, without files that were ``seen`` under another name."""
    total = 0
    for folder in folders:
        for file in folder.rglob("*"):
            with contextlib.suppress(OSError):
                status = file.lstat()
                if (identity := (status.st_dev, status.st_ino)) not in seen:
                    seen.add(identity)
                    total += status.st_size
    return total


def _environments() -> list[Path]:
    """Return all folders; environments of dependencies, which others are copied from, come first."""
    return sorted(_cache().glob("*/"))


@functools.cache
def today() -> datetime.date:
    """Return the day in UTC; the same for base and head even if midnight passes between them."""
    return datetime.datetime.now(datetime.UTC).date()


def _cache() -> Path:
    return cache_folder().absolute() / "environments"
