"""The contract of a tracker: a tool that shows runs, live or afterwards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from harness.runs.record import Epoch, Record


class TrackingError(Exception):
    """The tool does not accept a run; the message says why in one line."""


class TrackedRun(Protocol):
    """A run in the tool. What the tool has already is not sent again."""

    def scored(self, epochs: Sequence[Epoch]) -> None:
        """Show scored epochs."""

    def ended(self, record: Record) -> None:
        """Show the results of a run that has ended."""


class Tracker(Protocol):
    """A tool. Methods may raise any exception: :mod:`harness.tracking.bounded` deals with them."""

    name: str
    """As on the command line."""
    place: str
    """Where the runs are shown: a URI or a folder, without passwords."""

    def connect(self) -> None:
        """Prove that the tool can be used."""

    def run(self, record: Record, path: Path) -> TrackedRun | None:
        """Begin a run, or continue one of the same record; None if the tool has all of it.

        ``path`` is the file of the record, with its pictures beside it. The networks are built, unless the
        run ended before.
        """


def send(tracker: Tracker, record: Record, path: Path) -> bool:
    """Show a whole run; False if the tool has all of it."""
    tracked = tracker.run(record, path)
    if tracked is None:
        return False
    tracked.scored(record.epochs)
    if record.status != "running":
        tracked.ended(record)
    return True
