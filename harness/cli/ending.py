"""How a command ends: by a signal as by Ctrl-C, so that what was measured is kept; and without an output."""

import contextlib
import os
import signal
import sys
from typing import TextIO

import click


def end_as_by_ctrl_c() -> None:
    """Take SIGTERM and SIGHUP for a Ctrl-C; a signal that is ignored, as ``nohup`` has it, stays so."""
    for sent in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sent) is not signal.SIG_IGN:
            signal.signal(sent, signal.default_int_handler)


def forget(stream: TextIO) -> None:
    """What is left in its buffer cannot be written, and Python would try again when it ends."""
    with contextlib.suppress(OSError):  # it is no file, as in a test
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def print_error_line(line: str) -> None:
    """A line on standard error, where that can be written."""
    try:
        click.echo(line, err=True)
    except BlockingIOError:
        pass  # it is full for the moment
    except OSError:
        forget(sys.stderr)


def complain(message: str) -> None:
    """The same in the harness's name."""
    print_error_line(f"harness: {message}")
