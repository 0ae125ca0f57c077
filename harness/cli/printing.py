"""What the command prints, with everything in it visible that a terminal or a CI system would obey.

Names and texts come from records, archives, plugins and workers, so they may contain escape sequences, which
write elsewhere on the screen or into the title, marks that reverse the direction of text, or lines that
GitHub Actions takes for commands. All printing goes through this module; styles are added behind it.
"""

import os
import re
import sys
from collections.abc import Iterable

import click

#: Control characters but tab and line end, marks of direction, and halves of surrogate pairs.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: What the runner of GitHub Actions looks for in every line of a log, in its two notations.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#\[)", re.MULTILINE)


def visible(text: str) -> str:
    r"""The text with ``\u001b`` for an escape character, as JSON writes it, so that documents keep valid."""
    shown = _OBEYED.sub(_escaped, text)
    return _COMMAND.sub(_defused, shown) if os.environ.get("GITHUB_ACTIONS") == "true" else shown


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _defused(found: re.Match[str]) -> str:
    return f"\\u{ord('#'):04x}" if found[0] == "#" else f"{found[1]}\\u{ord(':'):04x}"


def echo(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Print text, with a line end unless ``nl`` is false, on standard error with ``err``."""
    click.echo(visible(text), nl=nl, err=err)


def echo_json(document: bytes) -> None:
    """Print an encoded JSON document, in UTF-8 on every terminal."""
    sys.stdout.buffer.write(visible(document.decode()).encode().rstrip(b"\n") + b"\n")


def echo_workflow_commands(lines: Iterable[str]) -> None:
    """Print lines that GitHub Actions is to obey. Their texts are escaped where they are made."""
    for line in lines:
        click.echo(_OBEYED.sub(_escaped, line))
