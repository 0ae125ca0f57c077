"""A third-party plugin is first imported in a separate process, in case its import hangs or exits.

The process also reports what the import imported, so that a framework at a plugin's top level is found.
An exception is left to the real import, which reports it better.
"""

import functools
import json
import secrets
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from harness.errors import PluginError
from harness.machine import process_groups

#: An import that takes longer is taken to hang. That of a large framework takes about 10 s from a cold disk.
LIMIT_SECONDS = 60.0
_LAST_LINES = 2
_PROGRAM = str(Path(__file__).with_name("trial_import.py"))


class Imported(NamedTuple):
    """A top-level module that a plugin's import imported, and the line of the plugin that did."""

    module: str
    file: str
    line: int


def try_point(point: metadata.EntryPoint, where: str) -> tuple[Imported, ...]:
    """Import the module of an entry point in a separate process. Raises as :func:`try_file`."""
    return _tried("module", point.module, where)


def try_file(path: str, where: str) -> tuple[Imported, ...]:
    """Import a file in a separate process; returns what that imported, in order.

    Raises:
        PluginError: the import hung or ended the process; ``where`` names the plugin.
    """
    return _tried("file", path, where)


@functools.cache
def _tried(kind: str, source: str, where: str) -> tuple[Imported, ...]:
    mark = secrets.token_hex(8)
    command = [sys.executable, "-P", _PROGRAM, kind, source, mark, json.dumps(sys.path)]
    try:
        done = process_groups.run(command, LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PluginError(f"{where} could not be loaded: its import hung for {LIMIT_SECONDS:g} s") from error
    _, marked, report = done.stdout.partition(mark)
    if not marked:
        last = "; ".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise PluginError(
            f"{where} could not be loaded: its import ended the process with {how}"
            + (f" ({last})" if last else "")
        )
    return tuple(Imported(*fields) for fields in json.loads(report.partition("\n")[0]))
