"""Calls of other programs, git and pip, with their errors in one line."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.core.machine import processes
from harness.core.machine.guarded_folder import GuardedFolder
from harness.errors import HarnessError, UsageError

_LAST_LINES = 5
Completed = subprocess.CompletedProcess[str]


def run_plainly(command: list[str], folder: Path) -> Completed:
    """Run a program as a shell does: the program gets a Ctrl-C too, and git then cleans up."""
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="surrogateescape", check=False
    )


def run_in_group(command: list[str], folder: Path, follow: Callable[[str], None] | None = None) -> Completed:
    """Run a program in a process group that ends with this process, so that no pip outlives its gate.

    Nor do its temporary files. ``follow`` gets each line of standard output as it comes.
    """
    with GuardedFolder("program") as temporary:
        variables = {"TMPDIR": str(temporary.path)}
        return processes.run(command, None, variables, folder=folder, errors="surrogateescape", follow=follow)


def refuse_no_package(name: str) -> None:
    """Raise UsageError for a text that is the name of no package."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise UsageError(f"{name!r} is no name of a package, such as torch")


def refuse_options(*names: str) -> None:
    """Raise UsageError for a name of a package or a commit that a program would read as an option."""
    if options := [name for name in names if name.lstrip().startswith("-")]:
        raise UsageError(f"{options[0]}: no package and no commit has a name that begins with a hyphen")


def output_of(
    command: list[str],
    folder: Path,
    failure: str,
    run: Callable[[list[str], Path], Completed] = run_in_group,
) -> str:
    """Return the standard output of a program, stripped."""
    try:
        completed = run(command, folder)
    except OSError as error:
        raise HarnessError(f"{failure}: {error}") from error
    if completed.returncode:
        last = "; ".join((completed.stderr or completed.stdout).strip().splitlines()[-_LAST_LINES:])
        last = os.fsencode(last).decode(errors="replace")  # it may come into a record, which must be UTF-8
        raise HarnessError(f"{failure}: {last}")
    return completed.stdout.strip()
