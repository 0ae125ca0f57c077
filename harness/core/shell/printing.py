"""Printing, error messages, and the signals that end a command.

Names and texts come from records, archives, plugins and workers. They may contain escape sequences, which
write elsewhere on the screen or into the title, marks that reverse the direction of text, or lines that
GitHub Actions takes for commands. All printing goes through this module, which escapes such characters;
styles are added afterwards.
"""

import contextlib
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import TextIO

import click

#: Control characters except tab and line end, marks of direction, and halves of surrogate pairs.
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: The two notations of workflow commands, which GitHub Actions looks for in every line of a log.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#\[)", re.MULTILINE)


def visible(text: str) -> str:
    r"""Write an escape character as ``\u001b``, like JSON, so that documents stay valid."""
    shown = _ACTIVE.sub(_escaped, text)
    return _COMMAND.sub(_escaped_command, shown) if os.environ.get("GITHUB_ACTIONS") == "true" else shown


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _escaped_command(match: re.Match[str]) -> str:
    return f"\\u{ord('#'):04x}" if match[0] == "#" else f"{match[1]}\\u{ord(':'):04x}"


def echo(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Print text, with a line end unless ``nl`` is false, on standard error with ``err``."""
    click.echo(visible(text), nl=nl, err=err)


def echo_json(document: bytes) -> None:
    """Print an encoded JSON document, in UTF-8 on every terminal."""
    sys.stdout.buffer.write(visible(document.decode()).encode().rstrip(b"\n") + b"\n")


def echo_workflow_commands(lines: Iterable[str]) -> None:
    """Print workflow commands of GitHub Actions, whose texts the caller has escaped."""
    for line in lines:
        click.echo(_ACTIVE.sub(_escaped, line))


def discard(stream: TextIO) -> None:
    """Redirect a broken stream to the null device: Python would fail again when it flushes at exit."""
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
        pass  # the pipe is full
    except OSError:
        discard(sys.stderr)


def print_error(message: str) -> None:
    """Print an error or a warning as ``harness: message``."""
    print_error_line(f"harness: {message}")


#: Time for an interrupted command to end its workers and write its record. Signals in this time are ignored;
#: a later one interrupts again.
_ENDING_SECONDS = 10.0
#: The longest time for which an import delays an interrupt.
_IMPORT_SECONDS = 2.0


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that finished measurements are kept.

    An ignored signal, as under ``nohup``, stays ignored.
    """
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
        """Raise what Ctrl-C raises, with the signal's name; see :func:`harness.errors.interruption`.

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
