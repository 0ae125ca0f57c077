"""The contract of a tracker: a tool that shows runs, live or afterwards."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from harness.core.runs.record import Epoch, Record


class TrackingError(Exception):
    """The tool does not accept a run; the message says why in one line."""


class TrackedRun(Protocol):
    """A run in the tool. What the tool has already is not sent again."""

    def scored(self, epochs: Sequence[Epoch]) -> None:
        """Show scored epochs."""

    def ended(self, record: Record) -> None:
        """Show the results of a run that has ended."""


class Tracker(Protocol):
    """A tool. Methods may raise any exception: :mod:`harness.tracking.tracker` deals with them."""

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


# Calls of a tracker that can neither fail nor hold up a run.

_T = TypeVar("_T")

#: The longest that a run waits for one call. A tracker's own limits are shorter; this one also
#: stops a server that sends a byte at a time.
LIMIT_SECONDS = 20.0
#: The longest wait for :meth:`Tracker.connect`, which happens before the first run: MLflow creates the tables
#: of a new database in about ten seconds.
_CONNECT_SECONDS = 60.0
#: After a failure the tracker is not called for this many seconds.
_REST_SECONDS = 60.0


class BoundedTracker:
    """A tracker whose failures become one warning, after which it rests for a minute.

    ``warn`` prints a line. A call that does not return in time is left behind in its thread.
    """

    def __init__(self, tracker: Tracker, warn: Callable[[str], None], limit: float = LIMIT_SECONDS) -> None:
        self.tracker = tracker
        self._warn = warn
        self._limit = limit
        self._rests_until = 0.0
        self._warned = False

    def connect(self) -> None:
        """Prove that the tool can be used, or warn."""
        self.call(self.tracker.connect, max(self._limit, _CONNECT_SECONDS))

    def call(self, work: Callable[[], _T], limit: float | None = None) -> _T | None:
        """The result of ``work``; None if it fails, takes too long, or the tracker rests."""
        limit = self._limit if limit is None else limit
        if time.monotonic() < self._rests_until:
            return None
        results: list[_T] = []
        errors: list[BaseException] = []

        def attempt() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001  whatever a tracker raises, the run continues
                errors.append(error)

        thread = threading.Thread(target=attempt, name=f"tracking-{self.tracker.name}", daemon=True)
        thread.start()
        thread.join(limit)
        if results:
            return results[0]
        self._failed(reason(errors[0]) if errors else f"no answer in {limit:.0f} s")
        return None

    def succeeds(self, work: Callable[[], None]) -> bool:
        """Whether ``work`` was done."""

        def done() -> bool:
            work()
            return True

        return self.call(done) is not None

    def _failed(self, reason: str) -> None:
        self._rests_until = time.monotonic() + _REST_SECONDS
        if not self._warned:
            self._warned = True
            self._warn(
                f"{self.tracker.name} at {self.tracker.place}: {reason}. Runs continue and their records are "
                f"kept; add what is missing later: harness export {self.tracker.name}"
            )


def reason(error: BaseException) -> str:
    """The innermost cause, in one line: libraries wrap a refused connection several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    lines = text.strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:200]
