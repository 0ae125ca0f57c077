"""Results written to files, completely or not at all; pictures read from files."""

import contextlib
import struct
from pathlib import Path

from harness.core.machine.files import read_file, replace_file
from harness.errors import UsageError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; of a link, the file that it leads to.

    Raises:
        OSError: it cannot be written; the previous content remains.
    """
    replace_file(path.resolve(), content)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, with question marks where a file name in another encoding has no text.

    Raises:
        OSError: it cannot be written; the previous content remains.
    """
    write_bytes(path, text.encode("utf-8", "replace"))


def require_folder(path: Path) -> None:
    """Raise UsageError where the folder of a file that ``--to`` names does not exist."""
    if not path.parent.is_dir():
        raise UsageError(f"--to {path}: the folder {path.parent} does not exist")


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 24
#: Far more than the harness writes: 60 rows of 16 samples of 64 pixels have 4 million.
_MOST_BYTES = 2**25
_MOST_PIXELS = 2**25


def read_png(folder: Path, name: str) -> bytes | None:
    """The picture with this name in a folder of records; None if there is none that can be shown.

    A name never leads out of the folder.
    """
    with contextlib.suppress(OSError, ValueError):
        content = read_file(folder / Path(name).name, _MOST_BYTES)
        if content.startswith(_SIGNATURE) and len(content) > _HEADER_BYTES:
            width, height = png_size(content)
            return content if 0 < width * height <= _MOST_PIXELS else None
    return None


def png_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", content[16:_HEADER_BYTES])
    return width, height
