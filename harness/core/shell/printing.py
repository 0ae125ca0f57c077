"""Printing, and error messages.

Every character is escaped that a terminal or a CI system would interpret. Names and texts come from records,
archives, plugins and workers, so they may contain escape sequences, which write elsewhere on the screen or
into the title, marks that reverse the direction of text, or lines that GitHub Actions takes for commands. All
printing goes through this module; styles are added afterwards.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from typing import TextIO

import click

#: Control characters but tab and line end, marks of direction, and halves of surrogate pairs.
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: The two notations of workflow commands, which GitHub Actions looks for in every line of a log.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#\[)", re.MULTILINE)


def visible(text: str) -> str:
    r"""Return ``text`` with ``\u001b`` for an escape character, as in JSON, so that documents stay valid."""
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
