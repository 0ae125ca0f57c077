"""Damaged copies of JSON documents, and the commands that read results called in this process."""

import contextlib
import copy
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from hypothesis import strategies as st

from harness.core.shell import main as cli
from harness.errors import HarnessError

Place = tuple[str | int, ...]

#: What a field is replaced by. ``MISSING`` removes it.
MISSING = object()
VALUES: tuple[Any, ...] = (
    MISSING,
    None,
    True,
    0,
    -1,
    1,
    7,
    2**31,
    2**63 - 1,
    -(2**63),
    2**70,
    0.5,
    -0.5,
    5e-324,
    1e-300,
    1e30,
    1e308,
    -1e308,
    "",
    "x",
    "\x1b[31m\u202e\x00",
    "<script>",
    "=1+1",
    "😀" * 3,
    "x" * 3000,
    "2026-01-01T00:00:00",
    [],
    [None],
    [[]],
    [1, 2, 3],
    [-1.5],
    {},
    {"x": 1},
    {"loss": 1e308},
)


#: Changes of a value to another one of its type, as a hand would make them.
CHANGES: dict[type, tuple[Callable[[Any], Any], ...]] = {
    str: (lambda text: f"{text}x", lambda text: text[:-1]),
    int: (lambda number: -number, lambda number: number + 1, lambda number: number * 10**6),
    float: (lambda number: -number, lambda number: number * 1e6, lambda number: number / 1e6),
    list: (
        lambda items: items[:-1],
        lambda items: items[1:],
        lambda items: items[::-1],
        lambda items: 2 * items,
    ),
    dict: (lambda fields: {f"{name}x": value for name, value in fields.items()},),
}


def at(document: Any, place: Place) -> Any:
    """Return the value at a place."""
    for key in place:
        document = document[key]
    return document


def places(document: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a document but its root; of a long list the first two items and the last."""
    if isinstance(document, dict):
        keys: Sequence[str | int] = list(document)
    elif isinstance(document, list):
        keys = sorted({*range(min(2, len(document))), len(document) - 1} - {-1})
    else:
        return
    for key in keys:
        yield (*place, key)
        yield from places(document[key], (*place, key))


def damaged(document: Any, place: Place, value: Any) -> Any:
    """A copy with another value at a place; unchanged where an earlier damage has removed the place."""
    changed = copy.deepcopy(document)
    inner = changed
    try:
        for key in place[:-1]:
            inner = inner[key]
        if value is MISSING:
            del inner[place[-1]]
        elif isinstance(inner, list | dict):
            inner[place[-1]] = copy.deepcopy(value)
    except (LookupError, TypeError):
        pass
    return changed


def called(*arguments: str | Path) -> tuple[int, str]:
    """The exit code and both outputs of a command, as :func:`harness.core.shell.main.main` yields them.

    Every exception that is no user's error is raised.
    """
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = cli.cli.main(list(map(str, arguments)), standalone_mode=False, prog_name="harness") or 0
        except HarnessError as error:
            output.write(f"harness: {error}\n")
            code = error.exit_code
        except click.ClickException as error:
            output.write(error.format_message())
            code = error.exit_code
    return code, output.getvalue()


def flipped(content: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """The bytes with one of them changed, some removed, or some put in between."""
    start = draw(st.integers(0, max(0, len(content) - 1)))
    removed = draw(st.sampled_from([0, 1, 1, 2, 100, len(content)]))
    return content[:start] + draw(st.binary(max_size=4)) + content[start + removed :]
