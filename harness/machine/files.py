"""Files that are written completely or not at all."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def prove_writable(folder: Path) -> None:
    """Create the folder and write a temporary file in it.

    Raises:
        OSError: the folder is not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def replace_file(path: Path, content: bytes) -> None:
    """Write a file to the disk, completely or not at all.

    Raises:
        OSError: it cannot be written; the previous content remains.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
