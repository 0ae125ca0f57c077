"""The contract of a tracker: another tool that shows runs while they train."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness.core.runs.events import RunObserver


class Tracker(Protocol):
    """A tool that ``--track`` names. Whatever the tool does, methods raise nothing and return soon.

    Events arrive between two blocks of steps, so that a tracker is never timed.
    """

    def begin(self, folder: Path, warn: Callable[[str], None]) -> None:
        """Connect to the tool; ``folder`` contains the records, and ``warn`` prints a line."""

    def follow(self, notify: RunObserver) -> RunObserver:
        """Return an observer of one run that passes each event to ``notify`` first, then to the tool."""
