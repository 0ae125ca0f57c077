"""Signals that end a command: as Ctrl-C does, so that what was measured is kept."""

import signal


def end_as_by_ctrl_c() -> None:
    """Take SIGTERM and SIGHUP for a Ctrl-C; a signal that is ignored, as ``nohup`` has it, stays so."""
    for sent in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sent) is not signal.SIG_IGN:
            signal.signal(sent, signal.default_int_handler)
