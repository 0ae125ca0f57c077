"""How a conversation with a worker can fail."""

from harness.errors import HarnessError
from harness.testing.clock import ClockTest
from harness.testing.clock_words import reason
from harness.testing.replay import Verification
from harness.testing.replay_words import difference


class RequestFailed(HarnessError):
    """A request raised in the worker, which is still alive; ``traceback`` is the worker's."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


class MemoryRanOut(RequestFailed):
    """The request needed more memory than there is."""


class WorkerLost(HarnessError):
    """The worker process ended without being asked to: it exited, or a signal killed it."""

    def __init__(self, message: str, worker_exit_code: int | None, signal_name: str | None) -> None:
        super().__init__(message)
        self.worker_exit_code = worker_exit_code
        self.signal_name = signal_name


class WorkerTimeout(HarnessError):
    """The worker did not answer in time and was killed; ``silent`` if it was taken to hang."""

    def __init__(self, message: str, *, silent: bool) -> None:
        super().__init__(message)
        self.silent = silent


class NoWorkersHere(HarnessError):
    """The machine lacks what every worker needs; what the worker should have run is not at fault."""


class DishonestClock(HarnessError):
    """The seconds that a program reports are not to be trusted; ``test`` has the figures."""

    def __init__(self, test: ClockTest) -> None:
        super().__init__(reason(test))
        self.test = test


class WorkDiffers(HarnessError):
    """Timed work is not what a second program computes from the same state; ``found`` has the figures."""

    def __init__(self, found: Verification) -> None:
        super().__init__(difference(found))
        self.found = found
