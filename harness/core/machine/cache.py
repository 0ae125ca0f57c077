"""Documents in the user's cache, a JSON file each: read as they were written, or not at all.

A cache only saves time. Damaged entries are rebuilt; write failures are ignored.
"""

import contextlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

from harness.core.machine.checksums import ContentChanged, verify_checksum, with_checksum
from harness.core.machine.files import read_file, replace_file
from harness.core.machine.ownership import sweep

_T = TypeVar("_T")


def cache_folder() -> Path:
    """Return the folder of all caches: ``HARNESS_CACHE_DIR``, or the user's own."""
    return Path(os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness"))


def read_cached(path: Path, kind: type[_T]) -> _T | None:
    """Read the document in a file; None if there is none of this kind, or if the file was changed."""
    with contextlib.suppress(
        OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ContentChanged
    ):
        content = read_file(path)
        if verify_checksum(content):
            return msgspec.json.decode(content, type=kind)
    return None


def write_cached(path: Path, document: object) -> None:
    """Write a document where that is possible."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        replace_file(path, with_checksum(msgspec.json.encode(document)))
