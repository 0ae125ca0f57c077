"""The contract of a tracker, a tool that shows runs, and how runs are followed while they train."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from harness.runs.record import Epoch, Record
from harness.runs.sequence import RunObserver

# The contract of a tracker: a tool that shows runs, live or afterwards.


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


# Runs in trackers while they train: what an observer learns of a run goes to each tracker, too.

#: The shortest interval between two messages of epochs: a call costs tens of milliseconds, as much as a
#: short epoch.
_INTERVAL_SECONDS = 1.0


class Tracking:
    """The trackers of a command. ``folder`` is that of its records, ``warn`` prints a line."""

    def __init__(self, trackers: Sequence[Tracker], folder: Path, warn: Callable[[str], None]) -> None:
        self._trackers = [BoundedTracker(tracker, warn) for tracker in trackers]
        self._folder = folder
        for bounded in self._trackers:
            bounded.connect()

    def follow(self, observer: RunObserver) -> RunObserver:
        """An observer that informs ``observer`` first, and then the trackers."""
        return _FollowedRun(observer, self._trackers, self._folder) if self._trackers else observer


class _FollowedRun:
    """A run: a :class:`harness.runs.sequence.RunObserver`.

    Observers are called between two blocks of steps, while the worker waits for its next request.
    """

    def __init__(self, observer: RunObserver, trackers: Sequence[BoundedTracker], folder: Path) -> None:
        self.phase = observer.phase
        self.trained = observer.trained
        self._observer = observer
        self._trackers = trackers
        self._folder = folder
        self._tracked: dict[BoundedTracker, TrackedRun] = {}
        self._waiting: list[Epoch] = []
        self._sent_at = -_INTERVAL_SECONDS

    def started(self, record: Record) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._observer.started(record)
        for bounded in self._trackers:
            tracked = bounded.call(partial(bounded.tracker.run, record, self._path(record)))
            if tracked is not None:
                self._tracked[bounded] = tracked

    def scored(self, epoch: Epoch) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._observer.scored(epoch)
        self._waiting.append(epoch)
        if time.monotonic() - self._sent_at >= _INTERVAL_SECONDS:
            self._send_epochs()
            self._sent_at = time.monotonic()

    def end(self, record: Record) -> None:
        """See :class:`harness.runs.sequence.RunObserver`. A tracker that missed a part gets the whole run."""
        self._observer.end(record)
        self._send_epochs()
        for bounded in self._trackers:
            if bounded in self._tracked:
                self._call(bounded, partial(self._tracked[bounded].ended, record))
            else:
                bounded.call(partial(send, bounded.tracker, record, self._path(record)))

    def _send_epochs(self) -> None:
        epochs, self._waiting = self._waiting, []
        for bounded, tracked in list(self._tracked.items()) if epochs else []:
            self._call(bounded, partial(tracked.scored, epochs))

    def _call(self, bounded: BoundedTracker, message: Callable[[], None]) -> None:
        """Send to a tracker that has received everything so far; forget it if it does not receive this."""
        if not bounded.succeeds(message):
            del self._tracked[bounded]

    def _path(self, record: Record) -> Path:
        return self._folder / f"{record.id}.json"
