"""Output that a plugin's own code prints."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


class _Redirection:
    """Standard output as it is for the whole process, so that threads must redirect it together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._restore = contextlib.ExitStack()

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._restore.enter_context(contextlib.redirect_stdout(sys.stderr))
                with contextlib.suppress(OSError):  # this process was started without them
                    kept = os.dup(_STANDARD_OUTPUT)
                    self._restore.callback(os.close, kept)
                    os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
                    self._restore.callback(os.dup2, kept, _STANDARD_OUTPUT)

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore.close()


_redirection = _Redirection()


@contextlib.contextmanager
def nothing_on_stdout() -> Iterator[None]:
    """Redirect standard output to standard error while a plugin's code runs, to keep JSON documents clean.

    This includes the output of processes that the plugin starts, such as ``unzip``, and that of all threads:
    it ends when the last thread has left.
    """
    _redirection.begin()
    try:
        yield
    finally:
        _redirection.end()
