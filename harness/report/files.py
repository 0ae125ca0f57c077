"""Results written to files: completely or not at all, whatever the disk or a name in them is like."""

from pathlib import Path

from harness.machine.files import replace_file


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; of a link, the file that it leads to.

    Raises:
        OSError: it cannot be written; the previous content remains.
    """
    replace_file(path.resolve(), content)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, with question marks where a file name in another encoding has no text.

    Raises:
        OSError: as of :func:`write_bytes`.
    """
    write_bytes(path, text.encode("utf-8", "replace"))
