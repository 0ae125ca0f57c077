"""Runs in trackers while they train: what an observer learns of a run goes to each tracker, too."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness.runs.record import Epoch, Record
from harness.runs.sequence import RunObserver
from harness.tracking.tracker import BoundedTracker, TrackedRun, Tracker, send

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
