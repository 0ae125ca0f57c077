"""The folder of all environments in the user's cache: names, locks, ages and sizes."""

import contextlib
import datetime
import fcntl
import functools
import hashlib
import os
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
#: A file in an environment whose installation has ended. Without it, and without a lock, it was killed.
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
    """Hold the lock of an environment; another process that needs it waits."""
    with contextlib.ExitStack() as stack:
        try:
            venv.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(_lock_of(venv).open("w"))
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


def _lock_of(venv: Path) -> Path:
    """Return the lock of an environment; it is also that of its copies with a suffix, which lack files."""
    return venv.with_name("-".join(venv.name.split("-")[:2]) + ".lock")


@contextlib.contextmanager
def _unlocked(venv: Path) -> Iterator[bool]:
    """Lock an environment if no process has locked it; False if one has."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_lock_of(venv).open("r+"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:  # a process locks an environment before making it
            is_unlocked = True
        except OSError:
            is_unlocked = False
        else:
            is_unlocked = True
        yield is_unlocked


def _unfinished() -> Iterator[Path]:
    """Yield the environments whose installation was killed."""
    for venv in _environments():
        if not (venv / COMPLETE).exists():
            with _unlocked(venv) as is_unlocked:
                pass
            if is_unlocked:
                yield venv


def remove_unused() -> None:
    """Delete unfinished environments and those of earlier days: each may take about a gigabyte."""
    for venv in {*older_than(_KEPT_SECONDS, _environments()), *_unfinished()}:
        with contextlib.suppress(OSError):
            _remove(venv)


def _remove(venv: Path) -> None:
    with _unlocked(venv) as is_unlocked:
        if is_unlocked:
            remove_path(venv)


class Environments(NamedTuple):
    """Unfinished environments and those of earlier days, which are not used again; the others in numbers."""

    unused: list[Leftover]
    kept: int
    kept_bytes: int


def environments_in_cache() -> Environments:
    """Find all environments; files that several share count once, as kept if one of these is kept."""
    every = _environments()
    unused = {*older_than(_DAY_SECONDS, every), *_unfinished()}
    kept = [venv for venv in every if venv not in unused]
    seen: set[tuple[int, int]] = set()
    kept_bytes = _bytes_beyond(seen, kept)
    leftovers = [
        Leftover("environment", venv, _bytes_beyond(seen, [venv]), functools.partial(_remove, venv))
        for venv in every
        if venv in unused
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
