"""Signals that end a command: all end it as Ctrl-C does, so that what was measured is kept."""

import math
import signal
import time
from types import FrameType

#: The time in which an interrupted command ends its workers and writes its record. A signal that comes
#: meanwhile changes nothing; one that comes later interrupts what hangs.
_ENDING_SECONDS = 10.0


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C. An ignored signal, as under ``nohup``, stays ignored."""
    interrupt = _Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


class _Interrupt:
    """The handler of all these signals."""

    def __init__(self) -> None:
        self._interrupted_at = -math.inf

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise what Ctrl-C raises, with the signal's name; see :func:`harness.errors.interruption`."""
        now = time.monotonic()
        if now - self._interrupted_at >= _ENDING_SECONDS:
            self._interrupted_at = now
            names = [] if number == signal.SIGINT else [signal.Signals(number).name]
            raise KeyboardInterrupt(*names)
