"""Runs in a tool while they train: the tool receives the events that the display receives."""

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.core.runs.events import Finished, RunEvent, RunObserver, Scored, Started
from harness.core.runs.record import Epoch, Record
from harness.tracking.tool import Tool, TrackedRun, reason, send

_T = TypeVar("_T")

#: The longest that a run waits for one call. A tool's own limits are shorter; this limit also
#: stops a server that sends a byte at a time.
LIMIT_SECONDS = 20.0
#: The longest wait for :meth:`Tool.connect`, which happens before the first run: MLflow creates the tables
#: of a new database in about ten seconds.
_CONNECT_SECONDS = 60.0
#: After a failure the tool is not called for this many seconds.
_REST_SECONDS = 60.0
#: The shortest interval between two messages of epochs: a call costs tens of milliseconds, as much as a
#: short epoch.
_INTERVAL_SECONDS = 1.0


class BoundedTool:
    """A tool whose failures become one warning, after which the tool rests for a minute.

    ``warn`` prints a line. A call that does not return in time is left behind in its thread.
    """

    def __init__(self, tool: Tool, warn: Callable[[str], None], limit: float = LIMIT_SECONDS) -> None:
        self.tool = tool
        self._warn = warn
        self._limit = limit
        self._rests_until = 0.0
        self._warned = False

    def connect(self) -> None:
        """Connect, or warn that the tool cannot be used."""
        self.call(self.tool.connect, max(self._limit, _CONNECT_SECONDS))

    def call(self, work: Callable[[], _T], limit: float | None = None) -> _T | None:
        """Return the result of ``work``; None if it fails, takes too long, or the tool rests."""
        limit = self._limit if limit is None else limit
        if time.monotonic() < self._rests_until:
            return None
        results: list[_T] = []
        errors: list[BaseException] = []

        def attempt() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001  whatever a tool raises, the run continues
                errors.append(error)

        thread = threading.Thread(target=attempt, name=f"tracking-{self.tool.name}", daemon=True)
        thread.start()
        thread.join(limit)
        if results:
            return results[0]
        self._failed(reason(errors[0]) if errors else f"no answer in {limit:.0f} s")
        return None

    def succeeds(self, work: Callable[[], None]) -> bool:
        """Return True if ``work`` was done."""

        def done() -> bool:
            work()
            return True

        return self.call(done) is not None

    def _failed(self, reason: str) -> None:
        self._rests_until = time.monotonic() + _REST_SECONDS
        if not self._warned:
            self._warned = True
            self._warn(
                f"{self.tool.name} at {self.tool.place}: {reason}. Runs continue and their records are "
                f"kept; add what is missing later: harness export {self.tool.name}"
            )


class Follower:
    """A tool that follows runs: a :class:`harness.core.runs.tracker.Tracker`."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._bounded: BoundedTool
        self._folder: Path

    def begin(self, folder: Path, warn: Callable[[str], None]) -> None:
        """See :class:`harness.core.runs.tracker.Tracker`."""
        self._folder = folder
        self._bounded = BoundedTool(self.tool, warn)
        self._bounded.connect()

    def follow(self, notify: RunObserver) -> RunObserver:
        """See :class:`harness.core.runs.tracker.Tracker`."""
        return _FollowedRun(notify, self._bounded, self._folder)


class _FollowedRun:
    """A run: a :class:`harness.core.runs.events.RunObserver`."""

    def __init__(self, notify: RunObserver, bounded: BoundedTool, folder: Path) -> None:
        self._notify = notify
        self._bounded = bounded
        self._folder = folder
        self._tracked: TrackedRun | None = None
        self._waiting: list[Epoch] = []
        self._sent_at = -_INTERVAL_SECONDS

    def __call__(self, event: RunEvent) -> None:
        """Pass an event on. A tool that missed a part of the run gets the whole run at the end."""
        self._notify(event)
        match event:
            case Started(record):
                begin = partial(self._bounded.tool.run, record, self._path(record))
                self._tracked = self._bounded.call(begin)
            case Scored(epoch):
                self._waiting.append(epoch)
                if time.monotonic() - self._sent_at >= _INTERVAL_SECONDS:
                    self._send_epochs()
                    self._sent_at = time.monotonic()
            case Finished(record):
                self._send_epochs()
                if self._tracked is not None:
                    self._bounded.call(partial(self._tracked.ended, record))
                else:
                    self._bounded.call(partial(send, self._bounded.tool, record, self._path(record)))

    def _send_epochs(self) -> None:
        """Send waiting epochs to a tool that has everything before; note if the tool misses them."""
        epochs, self._waiting = self._waiting, []
        tracked = self._tracked
        if epochs and tracked is not None and not self._bounded.succeeds(partial(tracked.scored, epochs)):
            self._tracked = None

    def _path(self, record: Record) -> Path:
        return self._folder / f"{record.id}.json"
