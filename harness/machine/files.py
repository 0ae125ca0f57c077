"""Files that are written completely or not at all, and read only if they are files of a bounded size."""

import contextlib
import errno
import os
import re
import stat
import tempfile
import time
from pathlib import Path

#: The most bytes of a file that is read as a whole: records have up to a few megabytes.
MOST_BYTES = 2**27
#: A draft has a name of at most 255 bytes, whatever the name of the file: 60 characters have up to 240.
_NAME_CHARACTERS = 60
_DRAFT = re.compile(r"\..+\.\d+\.tmp")
#: A draft exists for seconds. Processes are no guide: those on other machines write to shared folders, too.
_LONGEST_WRITE_SECONDS = 3600.0


def prove_writable(folder: Path) -> None:
    """Create the folder and write a temporary file in it.

    Raises:
        OSError: the folder is not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def replace_result(path: Path, content: bytes) -> None:
    """As :func:`replace_file`; a folder of results that was removed meanwhile is made again."""
    try:
        replace_file(path, content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file to the disk, completely or not at all.

    Raises:
        OSError: it cannot be written; the previous content remains.
    """
    temporary = path.with_name(f".{path.name[:_NAME_CHARACTERS]}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # The new name is on the disk only after the folder is; some shared folders do not support syncing.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(folder)


def sweep_drafts(folder: Path) -> None:
    """Delete what writers that were killed in :func:`replace_file` have left in a folder."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _DRAFT.fullmatch(path.name) and _is_abandoned(path):
                path.unlink()


def _is_abandoned(draft: Path) -> bool:
    status = draft.lstat()
    return stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _LONGEST_WRITE_SECONDS


def read_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a regular file.

    Neither waits for the writer of a pipe nor reads a device that has no end.

    Raises:
        OSError: it cannot be read, is something else, or has more than ``most_bytes``.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor has no path
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"more than {most_bytes:,} bytes", str(path))
    return content


def is_file(name: str) -> bool:
    """Whether a user's text is the path of a file; never raises."""
    try:
        return Path(name).is_file()
    except OSError:  # such as a name that is too long
        return False


def is_folder(name: str) -> bool:
    """Whether a user's text is the path of a folder; never raises."""
    try:
        return Path(name).is_dir()
    except OSError:
        return False
