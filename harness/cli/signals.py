"""Signals that end a command: all end it as Ctrl-C does, so that what was measured is kept."""

import signal
from types import FrameType


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C. An ignored signal, as under ``nohup``, stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Raise what Ctrl-C raises, with the signal's name; see :func:`harness.errors.interruption`."""
    raise KeyboardInterrupt(signal.Signals(number).name)
