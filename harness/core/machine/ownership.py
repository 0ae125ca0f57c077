"""Temporary files and folders: the process that makes one locks it; without its lock it is abandoned.

The kernel releases a lock when its process ends, however it ends. A lock therefore outlives neither a kill
nor a boot, means the same in every namespace of process numbers, and is not mistaken for the lock of a later
process with the same number. Where a file system has no locks, nothing counts as abandoned.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

#: A name has at most 255 bytes, whatever the name of the file that is written: 50 characters have up to 200.
_NAME_CHARACTERS = 50
_DRAFT = re.compile(r"\..+\.harness-[0-9a-f]{16}\.tmp")
_FOLDER = re.compile(r"dl-harness-[a-z]+-[0-9a-f]{16}")


def draft_of(path: Path) -> Path:
    """Return a new path beside ``path``, for its content while it is written; nobody can guess the name."""
    return path.with_name(f".{path.name[:_NAME_CHARACTERS]}.harness-{secrets.token_hex(8)}.tmp")


def new_folder_in(parent: Path, purpose: str) -> Path:
    """Return the path of a new temporary folder in ``parent``; ``purpose`` is one word in lower case."""
    return parent / f"dl-harness-{purpose}-{secrets.token_hex(8)}"


def create_file(path: Path) -> int:
    """Create a file, follow no link, and return its descriptor, which is its lock."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return _created(path, lambda: os.open(path, flags, 0o666))


def create_folder(path: Path) -> int:
    """Create a folder that only this user can enter, and return a descriptor, which is its lock."""

    def create() -> int:
        path.mkdir(mode=0o700)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    return _created(path, create)


def _created(path: Path, create: Callable[[], int]) -> int:
    """Create and lock ``path``; repeat if another process removed it in between, as abandoned."""
    while True:
        descriptor = create()
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(path, os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), status)
    except FileNotFoundError:
        return False


def abandoned(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the drafts and temporary folders directly in ``folders`` whose processes have ended."""
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            names = [
                each.name for each in entries if _DRAFT.fullmatch(each.name) or _FOLDER.fullmatch(each.name)
            ]
            for path in (folder / name for name in sorted(names)):
                with _seized(path) as is_seized:
                    pass
                if is_seized:
                    yield path


def remove_abandoned(path: Path) -> None:
    """Remove a draft or temporary folder unless a process owns it."""
    with _seized(path) as is_seized:
        if not is_seized:
            return
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def sweep(folder: Path) -> None:
    """Remove the drafts and temporary folders directly in ``folder`` whose processes have ended."""
    for path in [*abandoned([folder])]:
        with contextlib.suppress(OSError):
            remove_abandoned(path)


@contextlib.contextmanager
def _seized(path: Path) -> Iterator[bool]:
    """Lock a leftover of an ended process; False if it has an owner, is another user's or is gone."""
    with contextlib.ExitStack() as stack:
        try:
            # Network file systems lock files only for writing, and folders not at all.
            access = os.O_RDONLY | os.O_DIRECTORY if _FOLDER.fullmatch(path.name) else os.O_RDWR
            descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
            stack.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            is_seized = status.st_uid == os.geteuid() and (
                stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)
            )
            if is_seized:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_seized = _is_at(path, status)
        except OSError:
            is_seized = False
        yield is_seized
