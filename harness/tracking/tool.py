"""The contract of a tool that shows recorded runs: one file for each tool implements it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from harness.core.runs.record import Epoch, Record


class TrackingError(Exception):
    """The tool does not accept a run; the message says why in one line."""


class TrackedRun(Protocol):
    """A run in the tool. Events that the tool has already are not sent again."""

    def scored(self, epochs: Sequence[Epoch]) -> None:
        """Show scored epochs."""

    def ended(self, record: Record) -> None:
        """Show the results of a run that has ended."""


class Tool(Protocol):
    """A tool. Methods may raise any exception; ``harness export`` states its reason."""

    name: str
    """As on the command line."""
    place: str
    """Where the runs are shown: a URI or a folder, without passwords."""

    def connect(self) -> None:
        """Connect, or raise an exception if the tool cannot be used."""

    def run(self, record: Record, path: Path) -> TrackedRun | None:
        """Begin a run, or continue a run of the same record; None if the tool has the whole run.

        ``path`` is the file of the record, with its pictures beside it. The networks are built, unless the
        run ended before.
        """


def send(tool: Tool, record: Record, path: Path) -> bool:
    """Show a whole run; return False if the tool has it already."""
    tracked = tool.run(record, path)
    if tracked is None:
        return False
    tracked.scored(record.epochs)
    if record.status != "running":
        tracked.ended(record)
    return True


def reason(error: BaseException) -> str:
    """Return the innermost cause, in one line: libraries wrap a refused connection several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    lines = text.strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:200]
