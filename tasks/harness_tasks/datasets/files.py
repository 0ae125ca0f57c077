"""Files of data sets: read up to a size, and written completely or not at all."""

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

_DRAFT = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
#: A file of a data set is written in seconds: older drafts are those of writers that were killed.
_LONGEST_WRITE_SECONDS = 3600.0


def read_up_to(path: Path, most_bytes: int) -> bytes:
    """The first bytes of a file; all of them if there are fewer than ``most_bytes``.

    Raises:
        OSError: it cannot be read, or is no file, such as a pipe.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    with path.open("rb") as file:
        return file.read(most_bytes)


def replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have a file written completely or not at all, and delete what killed writers have left next to it.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        for left in path.parent.iterdir():
            if _DRAFT.fullmatch(left.name) and time.time() - left.lstat().st_mtime > _LONGEST_WRITE_SECONDS:
                left.unlink()
        with draft.open("wb") as file:
            write(file)
        os.replace(draft, path)  # noqa: PTH105  atomic on every system
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
