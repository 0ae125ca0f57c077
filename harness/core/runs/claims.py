"""Claims: files by which processes that share a results folder agree on who executes a run.

A claim is created with ``O_EXCL``, so that only one process succeeds, and names its process. A claim is stale
if its process is gone or, on another host, if its heartbeat is old. A stale claim is judged again and removed
under a lock, so that no process removes a claim that has just replaced a stale one.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from harness.core.machine.processes import ProcessMark, this_process
from harness.errors import HarnessError

FOLDER = "claims"
#: A claim is touched this often while its process lives ...
_BEAT_SECONDS = 20.0
#: ... and a process on another host is taken to be gone after this time without a touch.
SILENT_SECONDS = 300.0
#: A process that dies between creating a claim and writing its name into it leaves an empty one.
_EMPTY_SECONDS = 10.0
_LOCK = "lock"


class Claim(msgspec.Struct, frozen=True):
    """The process that executes a run, and the name of the run for people."""

    process: ProcessMark
    run: str
    token: str
    """Unique: a process may claim the same run twice."""


class Claims:
    """The claims of this process in a results folder; a context manager releases all at its end."""

    def __init__(self, results: Path) -> None:
        self._folder = results / FOLDER
        self._held: dict[str, Claim] = {}
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def take(self, key: str, run: str) -> bool:
        """Claim a run by its key; False if another process, or this one, holds it."""
        path = self._path(key)
        claim = Claim(this_process(), run, os.urandom(8).hex())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not _create(path, claim) and not (remove_stale(path) and _create(path, claim)):
                return False
        except OSError as error:
            raise HarnessError(f"the claim {path} cannot be written: {error.strerror}") from error
        self._held[key] = claim
        self._start_heart()
        return True

    def release(self, key: str) -> None:
        """Give up a claim, unless another process has taken it over."""
        claim = self._held.pop(key)
        path = self._path(key)
        with contextlib.suppress(OSError), _locked(self._folder):
            if _read(path) == claim:
                path.unlink()

    def close(self) -> None:
        """Release all claims."""
        for key in list(self._held):
            self.release(key)
        self._ended.set()
        if self._heart is not None:
            self._heart.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:32]}.claim"

    def _start_heart(self) -> None:
        if self._heart is None:
            self._heart = threading.Thread(target=self._beat, name="claims", daemon=True)
            self._heart.start()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            for key in list(self._held):
                with contextlib.suppress(OSError):
                    os.utime(self._path(key))


def claim_paths(results: Path) -> list[Path]:
    """Return the files of all claims in a results folder."""
    return sorted((results / FOLDER).glob("*.claim"))


def is_stale(path: Path) -> bool:
    """Check that the process of a claim is gone. A claim that no longer exists is stale, too."""
    try:
        silent_seconds = time.time() - path.stat().st_mtime
    except OSError:
        return True
    claim = _read(path)
    if claim is None:
        return silent_seconds > _EMPTY_SECONDS
    ended = claim.process.has_ended()
    return silent_seconds > SILENT_SECONDS if ended is None else ended


def remove_stale(path: Path) -> bool:
    """Remove a claim whose process is gone; return False if the process is alive.

    Only holders of the lock remove claims, so that a claim judged here is not replaced before it is removed.
    """
    if not is_stale(path):
        return False
    with _locked(path.parent):
        if not path.exists():
            return True
        if not is_stale(path):
            return False
        path.unlink()
    return True


def holds(results: Path, key: str, process: ProcessMark) -> bool:
    """Check that a process on another host has a claim with a recent heartbeat."""
    path = results / FOLDER / f"{key[:32]}.claim"
    claim = _read(path)
    return claim is not None and claim.process == process and not is_stale(path)


def _create(path: Path, claim: Claim) -> bool:
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(file, msgspec.json.encode(claim))
    finally:
        os.close(file)
    return _read(path) == claim  # False if the process was stopped before it wrote, and was replaced


def _read(path: Path) -> Claim | None:
    """Read the claim in a file; return None if the file is incomplete, damaged or gone."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Claim)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of claims; the kernel frees it when the process dies."""
    with (folder / _LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
