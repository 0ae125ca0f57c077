"""Files written whole or not at all."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def prove_writable(folder: Path) -> None:
    """Make the folder and write a passing file there.

    Raises:
        OSError: it cannot be done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and through to the disk.

    Raises:
        OSError: it cannot be written; what was there before is left.
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
    # The new name is on the disk only when the folder is; some shared folders cannot be asked for that.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(folder)
