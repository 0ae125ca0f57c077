"""Time limits of a worker: for its whole life, and for a single reply."""

import time

from harness.worker.errors import WorkerTimeout

#: A worker that does not answer for this long is taken to hang. The longest legitimate silence is a first
#: compilation.
SILENCE_LIMIT_SECONDS = 600.0


def silence_within(limit_seconds: float | None) -> float:
    """How long a worker with this time limit may be silent: at least :data:`SILENCE_LIMIT_SECONDS`."""
    return max(SILENCE_LIMIT_SECONDS, limit_seconds or 0.0)


class Limits:
    """When a reply of a worker is overdue. Time in which the worker is paused does not count."""

    def __init__(self, deadline_seconds: float | None, silence_seconds: float | None) -> None:
        """See :class:`harness.worker.session.Session`."""
        self._deadline_seconds = deadline_seconds
        self._silence_seconds = SILENCE_LIMIT_SECONDS if silence_seconds is None else silence_seconds
        self._paused_at: float | None = None
        self.renew()

    def renew(self) -> None:
        """Grant the whole time until the deadline again."""
        seconds = self._deadline_seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def pause(self) -> None:
        """Stop counting, until :meth:`resume`."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Count again."""
        if self._deadline is not None and self._paused_at is not None:
            self._deadline += time.monotonic() - self._paused_at
        self._paused_at = None

    def reply_due(self) -> float:
        """When a reply that is awaited from now on is overdue, by the monotonic clock."""
        silent_until = time.monotonic() + self._silence_seconds
        return silent_until if self._deadline is None else min(silent_until, self._deadline)

    def timeout(self, due: float) -> WorkerTimeout:
        """The error for a reply that was due then."""
        if due == self._deadline:
            limit = f"{self._deadline_seconds:g} s"
            return WorkerTimeout(f"the worker did not finish within the time limit of {limit}", silent=False)
        return WorkerTimeout(
            f"the worker was silent for {self._silence_seconds:g} s and was killed as hung", silent=True
        )
