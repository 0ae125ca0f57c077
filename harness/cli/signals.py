"""Signals that end a command: all end it as Ctrl-C does, so that what was measured is kept."""

import signal


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C. An ignored signal, as under ``nohup``, stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
