"""The user's cache of virtual environments: one for each commit, requirement, Python and day.

Base and head share the day, so that both get the releases that pip finds on it: a release of a framework
in between would look like a change of the code.
"""

import contextlib
import datetime
import fcntl
import functools
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import UsageError
from harness.machine.files import cache_folder
from harness.machine.leftovers import Leftover, older_than, remove_path, size_of

_DAY_SECONDS = 86400.0
_KEPT_SECONDS = 2 * _DAY_SECONDS
_COMPLETE = "complete"


def place_of(top: Path, commit: str, requirement: str, folder: Path) -> Path:
    """Where the environment of a commit is kept today; ``folder`` is the project's in its repository."""
    identity = f"{top} {folder} {requirement} {sys.version} {today()}"
    key = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:12]
    return _cache() / f"{commit[:16]}-{key}"


def is_complete(venv: Path) -> bool:
    """Whether an installation into it came to its end."""
    return (venv / _COMPLETE).exists()


def mark_complete(venv: Path) -> None:
    """Have later gates of the day use it."""
    (venv / _COMPLETE).touch()


@contextlib.contextmanager
def exclusive(venv: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of an environment; another gate that needs it waits.

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
                say(f"waiting for another gate that uses {venv}")
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(
                f"environments cannot be kept in {venv.parent}: {error.strerror}; set HARNESS_CACHE_DIR to "
                "another folder"
            ) from error
        yield


def remove_old() -> None:
    """Delete environments of earlier days: with a framework each takes about a gigabyte."""
    for venv in _cache().glob("*/"):
        with contextlib.suppress(OSError):
            if time.time() - venv.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(venv, ignore_errors=True)


def old_environments() -> Iterator[Leftover]:
    """The environments of earlier days: no gate uses them again."""
    for venv in older_than(_DAY_SECONDS, sorted(_cache().glob("*/"))):
        yield Leftover("gate environment", venv, size_of([venv]), functools.partial(remove_path, venv))


@functools.cache
def today() -> datetime.date:
    """The day in UTC; the same for base and head even if midnight passes between them."""
    return datetime.datetime.now(datetime.UTC).date()


def _cache() -> Path:
    return cache_folder().absolute() / "gate"
