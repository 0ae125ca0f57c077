"""The signals that end a command: all act like Ctrl-C, so that finished measurements are kept."""

import math
import signal
import threading
import time
from types import FrameType

#: Time for an interrupted command to end its workers and write its record. Signals in this time are ignored;
#: a later one interrupts again.
_ENDING_SECONDS = 10.0
#: The longest time for which an import delays an interrupt.
_IMPORT_SECONDS = 2.0


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C. An ignored signal, as under ``nohup``, stays ignored."""
    interrupt = _Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


class _Interrupt:
    """The handler of the signals that end a command."""

    def __init__(self) -> None:
        self._interrupted_at = -math.inf
        self._importing_since = math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt with the signal's name; see :func:`harness.errors.interruption`.

        An exception raised while a module is imported may be lost: imports run callbacks whose exceptions
        Python discards, and some extension modules catch all exceptions. The signal is therefore repeated
        until the import has ended.
        """
        now = time.monotonic()
        self._importing_since = min(self._importing_since, now)
        if _is_importing(frame) and now - self._importing_since < _IMPORT_SECONDS:
            again = threading.Timer(0.02, signal.pthread_kill, (threading.main_thread().ident, number))
            again.daemon = True
            again.start()
            return
        self._importing_since = math.inf
        if now - self._interrupted_at >= _ENDING_SECONDS:
            self._interrupted_at = now
            names = [] if number == signal.SIGINT else [signal.Signals(number).name]
            raise KeyboardInterrupt(*names)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
