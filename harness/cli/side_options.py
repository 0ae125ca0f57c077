"""What a side of a duel or a gate is given on the command line: its interpreter, and variables of its own."""

import sys

from harness.errors import UsageError
from harness.machine.cpus import WORKER_CPUS
from harness.machine.programs import program


def interpreter(option: str, path: str | None) -> str:
    """The interpreter that was named; this one where none was."""
    return sys.executable if path is None else program(option, path)


def variables(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """``NAME=VALUE`` as a variable, each.

    Raises:
        UsageError: a text is none.
    """
    told = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"{option} {text}: write NAME=VALUE, for example MALLOC_ARENA_MAX=1")
        if name == WORKER_CPUS:
            raise UsageError(f"{option} {text}: the harness sets that itself, by --threads")
        told[name] = value
    return told
