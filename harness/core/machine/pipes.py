"""Output of another process: lines that are awaited, and a log that stays small."""

import fcntl
import os
import select
import tempfile
import time
from collections.abc import Callable
from typing import IO

# Lines that another process writes to a pipe: awaited until a deadline, and bounded in length.

_POLL_SECONDS = 1.0
_CHUNK_BYTES = 1 << 16


class PipeClosed(Exception):
    """The other end is closed, or its process has ended."""


class LineOverdue(Exception):
    """The deadline has passed."""


class LineTooLong(Exception):
    """The line is longer than the limit."""


class LinePipe:
    """The reading end of a pipe, which the caller closes."""

    def __init__(self, descriptor: int, longest_bytes: int) -> None:
        self._descriptor = descriptor
        self._longest_bytes = longest_bytes
        self._pending = bytearray()

    def read(self, due: float, watch: Callable[[], bool]) -> bytes:
        """Read the next line, without its end.

        ``due`` is a moment of :func:`time.monotonic`. ``watch`` is called at least once a second while this
        call waits or reads; True means that the process has ended.
        """
        searched, watched = 0, time.monotonic()
        poll = select.poll()  # select() knows no descriptors above 1023
        poll.register(self._descriptor, select.POLLIN)
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)  # no byte is searched twice
            if searched > self._longest_bytes:
                raise LineTooLong
            wait_seconds = min(_POLL_SECONDS, max(0.0, due - time.monotonic()))
            ready = poll.poll(1000 * wait_seconds)
            if ready:
                chunk = os.read(self._descriptor, _CHUNK_BYTES)
                if not chunk:
                    raise PipeClosed
                self._pending += chunk
            now = time.monotonic()
            if not ready or now - watched >= _POLL_SECONDS:
                watched = now
                # A process that this one forked can hold the pipe open after its death.
                if watch() and not ready:
                    raise PipeClosed
            if now >= due and not (ready and b"\n" in chunk):
                raise LineOverdue
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line


# What a process prints, kept in a temporary file of bounded size: the beginning and the end.
#
# The process appends to the file itself, so printing costs it what it costs into any file: nothing has to
# read a pipe before it can go on, also while it is stopped or its parent computes.

_LARGEST_BYTES = 4 << 20
_TAIL_BYTES = 16384
_HEAD_BYTES = 2048
_HEAD_LINES = 5
_TAIL_LINES = 20


class OutputLog:
    """Give ``file`` to the process as its standard output and error, and call :meth:`trim` now and then."""

    def __init__(self) -> None:
        """Make the file."""
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  close() closes it
        self._descriptor = self.file.fileno()
        # The file may be cut while it is written to: whoever appends goes on at its new end.
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        self._head = self._tail = b""
        self._cut_bytes = 0

    def trim(self) -> None:
        """Empty a file that has become larger than 4 MiB, and keep its beginning and its end in memory."""
        size = os.fstat(self._descriptor).st_size
        if size > _LARGEST_BYTES:
            self._head = self._head or os.pread(self._descriptor, _HEAD_BYTES, 0)
            self._tail = os.pread(self._descriptor, _TAIL_BYTES, size - _TAIL_BYTES)
            os.ftruncate(self._descriptor, 0)
            self._cut_bytes += size

    def last_lines(self) -> list[str]:
        """Return the last lines, oldest first; before them the first lines, if lines between were dropped."""
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
