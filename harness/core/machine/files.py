"""Files that are written completely or not at all, and read only if they are files of a bounded size."""

import contextlib
import errno
import os
import re
import stat
import tempfile
from pathlib import Path

from harness.core.machine.ownership import create_file, draft_of

#: The most bytes of a file that is read as a whole: records have up to a few megabytes.
MOST_BYTES = 2**27


def prove_writable(folder: Path) -> None:
    """Create the folder and write a temporary file in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        for place in (folder, *folder.parents):
            if place.is_symlink() and not place.exists():
                why = f"{place} is a link to {place.readlink()}, which does not exist"
                raise OSError(errno.ENOENT, why) from error
        raise
    with tempfile.TemporaryFile(dir=folder):
        pass


def replace_result(path: Path, content: bytes) -> None:
    """Replace a file as :func:`replace_file`; make the folder of results again if it was removed."""
    try:
        replace_file(path, content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file to the disk, completely or not at all."""
    if os.path.exists(path) and not (is_file(path) or is_folder(path)):  # noqa: PTH110
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    draft = draft_of(path)
    try:
        with open(create_file(draft), "wb") as file:  # noqa: PTH123  a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
    except FileExistsError:  # what is there is another's
        raise
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
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


_CHUNK_BYTES = 2**16


def read_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a regular file.

    The call does not wait for the writer of a pipe, nor read a device that has no end.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name has a NUL character", str(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  a descriptor has no path
        status = os.fstat(descriptor)
        refuse_unreadable(path, status, most_bytes)
        # Allocating ``most_bytes`` would take longer than reading a record. The size is only a hint: files
        # grow, and those in /proc report none.
        content = file.read(min(status.st_size, most_bytes) + 1)
        while len(content) <= most_bytes and (more := file.read(_CHUNK_BYTES)):
            content += more
    _refuse_size(path, len(content), most_bytes)
    return content


def refuse_unreadable(path: Path, status: os.stat_result, most_bytes: int = MOST_BYTES) -> None:
    """Raise OSError if ``status`` of the file at ``path`` is not that of a regular file of ``most_bytes``."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    _refuse_size(path, status.st_size, most_bytes)


def _refuse_size(path: Path, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", str(path))


def system_text(path: Path) -> str:
    """Read a file of the operating system, stripped; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


#: Whether a user's text is the path of a file or of a folder. Unlike those of ``Path`` they never raise.
is_file, is_folder = os.path.isfile, os.path.isdir


def without_home(text: str) -> str:
    """Return a text as records have it, with ``~`` in place of the home folder."""
    home = str(Path.home())
    return re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~", text) if len(home) > 1 else text
