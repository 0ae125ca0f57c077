"""A third-party plugin is first imported in a separate process, in case its import hangs or exits.

The process also reports what the import imported, so that a framework at a plugin's top level is found.
An exception is left to the real import, which reports it better.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from harness.errors import PluginError
from harness.machine.pipes import LineOverdue, LinePipe, LineTooLong, OutputLog, PipeClosed
from harness.machine.processes import kill_group, kill_marked, new_mark, release_guard, start_guard

#: An import that takes longer is taken to hang. That of a large framework takes about 10 s from a cold disk.
LIMIT_SECONDS = 60.0
_LAST_LINES = 2
_LONGEST_REPORT_BYTES = 16 << 20
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
    try:
        with contextlib.ExitStack() as stack:
            report = _report(kind, source, stack)
    except LineOverdue:
        why = f"its import hung for {LIMIT_SECONDS:g} s"
    except _Ended as ended:
        why = f"its import ended the process with {ended}"
    except OSError as error:
        why = f"no process for a trial import can be started: {error.strerror}"
    else:
        return tuple(Imported(*fields) for fields in json.loads(report))
    raise PluginError(f"{where} could not be loaded: {why}")


class _Ended(Exception):
    """The process of a trial ended without a report; says how, with its last lines."""


def _report(kind: str, source: str, stack: contextlib.ExitStack) -> bytes:
    """What the process of a trial reports. Nothing that it started survives the ``stack``.

    Raises:
        LineOverdue: it reported nothing in time.
        _Ended: it ended before.
        OSError: it cannot be started.
    """
    log, mark = OutputLog(), new_mark()
    stack.callback(log.close)
    reports, report_in = os.pipe()
    stack.callback(os.close, reports)
    command = [sys.executable, "-P", _PROGRAM, kind, source, str(report_in), json.dumps(sys.path)]
    try:
        process = subprocess.Popen(
            command,
            env={**os.environ, mark: "1"},
            pass_fds=[report_in],
            stdin=subprocess.DEVNULL,
            stdout=log.file,
            stderr=log.file,
            start_new_session=True,
        )
    finally:
        os.close(report_in)
    due = time.monotonic() + LIMIT_SECONDS
    stack.callback(process.wait)
    stack.callback(kill_marked, mark)
    stack.callback(kill_group, process.pid)
    with contextlib.suppress(OSError):  # a trial can run without a guard
        stack.callback(release_guard, start_guard(process.pid, mark))
    try:
        return LinePipe(reports, _LONGEST_REPORT_BYTES).read(due, _watch(process, log))
    except (PipeClosed, LineTooLong):
        raise _Ended(_how_it_ended(process, log, due)) from None


def _watch(process: subprocess.Popen[bytes], log: OutputLog) -> Callable[[], bool]:
    def has_ended() -> bool:
        log.trim()
        return process.poll() is not None

    return has_ended


def _how_it_ended(process: subprocess.Popen[bytes], log: OutputLog, due: float) -> str:
    try:
        code = process.wait(max(0.0, due - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise LineOverdue from None
    last = "; ".join(log.last_lines()[-_LAST_LINES:])
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{how} ({last})" if last else how
