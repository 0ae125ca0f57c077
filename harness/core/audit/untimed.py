"""The training of a worker whose times nobody judges: the requests alone, without any sums of clocks."""

import time

import msgspec

from harness.core.worker import protocol
from harness.core.worker.session import Session

#: A record's blocks last some time, however coarse the worker's clock is.
_LEAST_SECONDS = 1e-9


class Untimed:
    """Takes the place of :class:`harness.core.audit.clock.TrainingClock`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def train(self, steps: int) -> protocol.Trained:
        """Make the next steps; raises as :meth:`Session.receive` does."""
        trained = self._session.call(protocol.Train(steps), protocol.Trained)
        return msgspec.structs.replace(trained, seconds=max(trained.seconds, _LEAST_SECONDS))

    def save_state(self, path: str) -> tuple[bool, float]:
        """Have the state written to a file; return whether it is complete, and the seconds that this took."""
        start = time.monotonic()
        saved = self._session.call(protocol.SaveState(path), protocol.StateSaved)
        return saved.complete, time.monotonic() - start

    def settle(self) -> None:
        """Do nothing: no time has to include outstanding updates."""
