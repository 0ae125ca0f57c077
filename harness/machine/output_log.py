"""What a process prints, kept in a temporary file of bounded size: the beginning and the end.

The process appends to the file itself, so printing costs it what it costs into any file: nothing has to read
a pipe before it can go on, also while it is stopped or its parent computes.
"""

import fcntl
import os
import tempfile
from typing import IO

_LARGEST_BYTES = 4 << 20
_TAIL_BYTES = 16384
_HEAD_BYTES = 2048
_HEAD_LINES = 5
_TAIL_LINES = 20


class OutputLog:
    """Give ``file`` to the process as its standard output and error, and call :meth:`trim` now and then."""

    def __init__(self) -> None:
        """Make the file.

        Raises:
            OSError: no folder for temporary files is writable (FileNotFoundError), or the disk is full.
        """
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  close() closes it
        self._descriptor = self.file.fileno()
        # The file may be cut while it is written to: whoever appends goes on at its new end.
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        self._head = self._tail = b""
        self._cut_bytes = 0

    def trim(self) -> None:
        """Empty a file that has become larger than 4 MiB, and remember its beginning and its end."""
        size = os.fstat(self._descriptor).st_size
        if size > _LARGEST_BYTES:
            self._head = self._head or os.pread(self._descriptor, _HEAD_BYTES, 0)
            self._tail = os.pread(self._descriptor, _TAIL_BYTES, size - _TAIL_BYTES)
            os.ftruncate(self._descriptor, 0)
            self._cut_bytes += size

    def last_lines(self) -> list[str]:
        """The last lines, oldest first; before them the first, if those between were not kept."""
        size = os.fstat(self._descriptor).st_size
        new = os.pread(self._descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        tail = _lines((self._tail + new)[-_TAIL_BYTES:])[-_TAIL_LINES:]
        if not self._cut_bytes:
            return tail
        megabytes = f"{(self._cut_bytes + size) / 1e6:,.0f} MB"
        return [*_lines(self._head)[:_HEAD_LINES], f"[... of {megabytes} of output the end: ...]", *tail]

    def close(self) -> None:
        """Remove the file."""
        self.file.close()


def _lines(output: bytes) -> list[str]:
    return output.decode(errors="replace").splitlines()
