"""How a command ends: by a signal as by Ctrl-C, so that what was measured is kept; and without an output."""

import os
import signal
import sys


def end_as_by_ctrl_c() -> None:
    """Take SIGTERM and SIGHUP for a Ctrl-C; a signal that is ignored, as ``nohup`` has it, stays so."""
    for sent in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sent) is not signal.SIG_IGN:
            signal.signal(sent, signal.default_int_handler)


def forget_output() -> None:
    """What is left in the buffer cannot be written, and Python would try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
