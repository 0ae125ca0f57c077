"""The results folder: its default, how commands name it, and folders for records in it."""

import shlex
from pathlib import Path

from harness.core.machine.files import prove_writable
from harness.core.machine.ownership import sweep
from harness.errors import UsageError

#: The results folder of commands without ``--results``.
DEFAULT_RESULTS = Path("results")


def prepare_folder(folder: Path) -> Path:
    """Make a folder for records and prove that it is writable, before anything runs; return it.

    Drafts of killed writers are deleted.
    """
    try:
        prove_writable(folder)
    except OSError as error:
        raise UsageError(
            f"records cannot be written to {folder}: {error.strerror}. Give another folder: --results DIR."
        ) from error
    sweep(folder)
    return folder


def results_option(results: Path) -> str:
    """Return `` --results DIR`` for a command that a message suggests; empty for the default folder."""
    return "" if results == DEFAULT_RESULTS else f" --results {shlex.quote(str(results))}"
