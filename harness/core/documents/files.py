"""Writing results to files, completely or not at all, and reading images beside records."""

import contextlib
import struct
from pathlib import Path

from harness.core.machine.files import read_file, replace_file
from harness.core.machine.ownership import sweep
from harness.errors import UsageError


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, or to the target of the link ``path``; remove drafts of killed writers.

    Raises:
        OSError: the file cannot be written; its previous content remains.
    """
    path = path.resolve()
    sweep(path.parent)
    replace_file(path, content)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, with question marks for bytes of file names that are not UTF-8.

    Raises:
        OSError: the file cannot be written; its previous content remains.
    """
    write_bytes(path, text.encode("utf-8", "replace"))


def require_folder(path: Path) -> None:
    """Raise UsageError if the folder of a file that ``--to`` names does not exist."""
    if not path.parent.is_dir():
        raise UsageError(f"--to {path}: the folder {path.parent} does not exist")


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 24
#: Far more than the harness writes: 60 rows of 16 samples of 64 pixels have 4 million.
_MOST_BYTES = 2**25
_MOST_PIXELS = 2**25


def read_png(folder: Path, name: str) -> bytes | None:
    """Read the PNG image ``name`` in a folder of records; return None if it is missing, invalid or too large.

    A name never leads out of the folder.
    """
    with contextlib.suppress(OSError, ValueError):
        content = read_file(folder / Path(name).name, _MOST_BYTES)
        if content.startswith(_SIGNATURE) and len(content) > _HEADER_BYTES:
            width, height = png_size(content)
            return content if 0 < width * height <= _MOST_PIXELS else None
    return None


def png_size(content: bytes) -> tuple[int, int]:
    """Return width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", content[16:_HEADER_BYTES])
    return width, height
