"""Lines on standard error, and streams that can no longer be written."""

import contextlib
import os
import sys
from typing import TextIO

from harness.cli.printing import echo


def discard(stream: TextIO) -> None:
    """Redirect a broken stream to nowhere: Python would write its buffer again at exit, and fail again."""
    with contextlib.suppress(OSError):  # not a file, as in a test
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def print_error_line(line: str) -> None:
    """Print a line on standard error if it can be written."""
    try:
        echo(line, err=True)
    except BlockingIOError:
        pass  # full for the moment
    except OSError:
        discard(sys.stderr)


def print_error(message: str) -> None:
    """Print an error or a warning as ``harness: message``."""
    print_error_line(f"harness: {message}")
