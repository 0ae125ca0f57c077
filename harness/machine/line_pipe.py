"""Lines that another process writes to a pipe: awaited until a deadline, and bounded in length."""

import os
import select
import time
from collections.abc import Callable

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
        """The next line, without its end.

        ``due`` is a moment of :func:`time.monotonic`. ``watch`` is called at least once a second while this
        waits or reads; true means that the process has ended.

        Raises:
            PipeClosed: no line will come.
            LineOverdue: the line is not complete at ``due``, however much of it has come.
            LineTooLong: the line is longer than ``longest_bytes``.
        """
        searched, watched = 0, time.monotonic()
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)  # no byte is searched twice
            if searched > self._longest_bytes:
                raise LineTooLong
            wait_seconds = min(_POLL_SECONDS, max(0.0, due - time.monotonic()))
            ready, _, _ = select.select([self._descriptor], [], [], wait_seconds)
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
