"""Runs in trackers while they train: each tracker receives the events that the display receives."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness.core.runs.events import (
    Finished,
    RunEvent,
    RunObserver,
    Scored,
    Started,
)
from harness.core.runs.record import Epoch, Record
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

    def follow(self, notify: RunObserver) -> RunObserver:
        """An observer that passes each event to ``notify`` first, then to the trackers."""
        return _FollowedRun(notify, self._trackers, self._folder) if self._trackers else notify


class _FollowedRun:
    """A run: a :class:`harness.core.runs.events.RunObserver`."""

    def __init__(self, notify: RunObserver, trackers: Sequence[BoundedTracker], folder: Path) -> None:
        self._notify = notify
        self._trackers = trackers
        self._folder = folder
        self._tracked: dict[BoundedTracker, TrackedRun] = {}
        self._waiting: list[Epoch] = []
        self._sent_at = -_INTERVAL_SECONDS

    def __call__(self, event: RunEvent) -> None:
        """Pass an event on. A tracker that missed a part of the run gets all of it at the end."""
        self._notify(event)
        match event:
            case Started(record):
                for bounded in self._trackers:
                    tracked = bounded.call(partial(bounded.tracker.run, record, self._path(record)))
                    if tracked is not None:
                        self._tracked[bounded] = tracked
            case Scored(epoch):
                self._waiting.append(epoch)
                if time.monotonic() - self._sent_at >= _INTERVAL_SECONDS:
                    self._send_epochs()
                    self._sent_at = time.monotonic()
            case Finished(record):
                self._send_epochs()
                for bounded in self._trackers:
                    if bounded in self._tracked:
                        bounded.call(partial(self._tracked[bounded].ended, record))
                    else:
                        bounded.call(partial(send, bounded.tracker, record, self._path(record)))

    def _send_epochs(self) -> None:
        """Send to trackers that have received everything so far; forget those that do not receive these."""
        epochs, self._waiting = self._waiting, []
        for bounded, tracked in list(self._tracked.items()) if epochs else []:
            if not bounded.succeeds(partial(tracked.scored, epochs)):
                del self._tracked[bounded]

    def _path(self, record: Record) -> Path:
        return self._folder / f"{record.id}.json"
