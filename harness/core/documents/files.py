"""Writing results to files, completely or not at all, and reading images beside records."""

import contextlib
import struct
from pathlib import Path

from harness.core.machine.files import read_file, replace_file
from harness.core.machine.ownership import sweep
from harness.errors import UsageError


def write_bytes(path: Path, content: bytes, *, named: bool = True) -> None:
    """Write ``content`` to ``path``, and remove drafts of killed writers beside it.

    A path that the user ``named`` may be a link, whose target is then written. Any other link is replaced.
    """
    path = path.resolve() if named else path
    sweep(path.parent)
    replace_file(path, content)


def write_text(path: Path, text: str, *, named: bool = True) -> None:
    """Write a text as :func:`write_bytes`, in UTF-8; bytes that are not UTF-8 become question marks."""
    write_bytes(path, text.encode("utf-8", "replace"), named=named)


#: A file in a folder that a command has filled with its output.
_MARK = ".written-by-harness"


def refuse_foreign_folder(folder: Path) -> None:
    """Raise UsageError if a folder has files that :func:`fill_folder` has not announced.

    A folder with hidden entries alone, such as ``.git``, counts as empty.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return
    others = [name for name in names if not name.startswith(".")]
    if others and _MARK not in names:
        more = ", …" if len(others) > 1 else ""
        raise UsageError(f"{folder} has other files ({others[0]}{more}); give a new or an empty folder")


def fill_folder(folder: Path) -> None:
    """Make a folder for many files of output, and mark it, so that the same command may fill it again."""
    refuse_foreign_folder(folder)
    folder.mkdir(exist_ok=True)
    write_text(folder / _MARK, "harness may replace the files in this folder.\n", named=False)


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
