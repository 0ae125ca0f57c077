"""Processes that a test's commands started and may have left, and waiting for what they do."""

import signal
import subprocess
import time
from collections.abc import Callable

import psutil

from support.command import HarnessCommand


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for a condition; fail if it does not hold in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def ended(
    harness: HarnessCommand, *arguments: str, when: Callable[[], object], by=signal.SIGINT, seconds=120.0
) -> subprocess.CompletedProcess:
    """Start a command, send it a signal once a condition holds, and wait for its end."""
    process = harness.start(*arguments)
    wait_until(when, seconds)
    process.send_signal(by)
    printed = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, *printed)


def processes_of(harness: HarnessCommand, argument: str | None = None) -> list[psutil.Process]:
    """Return the living processes of a test, known by its data folder; with ``argument``, if it is given.

    Those that are stopped are among them.
    """
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        line, environment = process.info["cmdline"] or [], process.info["environ"] or {}
        mine = environment.get("HARNESS_DATA_DIR") == harness.environment["HARNESS_DATA_DIR"]
        if mine and line and (argument is None or argument in line):
            found.append(process)
    return found


def workers_of(harness: HarnessCommand) -> list[psutil.Process]:
    return processes_of(harness, "harness.core.worker")
