"""How a conversation with a worker can fail."""

from harness.errors import HarnessError


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
