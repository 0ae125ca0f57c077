"""Carries out certification cases in a worker process."""

import os
from types import TracebackType
from typing import Self, TypeVar

from harness.errors import Declined, HarnessError
from harness.machine.process_environment import worker_settings
from harness.testing.cases import Case
from harness.testing.certify import Side
from harness.testing.observation import Losses, Observation
from harness.worker import protocol
from harness.worker.session import Session, silence_within

_R = TypeVar("_R", protocol.Observed, protocol.ObservedLosses)


class Examiner:
    """Has certification cases carried out by a worker of a side: one for all tasks, for imports take long.

    A worker that fell in one case is replaced for the next.
    """

    def __init__(self, side: Side, limit_seconds: float | None = None) -> None:
        """``limit_seconds`` bounds each certification; without it only silence ends one that hangs."""
        self.side = side
        self._limit_seconds = limit_seconds
        self._session: Session | None = None

    def begin(self) -> None:
        """Give the certification that follows the whole of its time, however long those before it took."""
        if self._session is not None:
            self._session.renew_deadline()

    def observe(self, case: Case) -> Observation:
        """What the side does on a case in float64.

        Raises:
            Declined: the backend does not do what the case takes.
            HarnessError: it failed, hung or died; names the case.
        """
        side = self.side
        request = protocol.Observe(case, side.mode, side.device, side.threads)
        return self._ask(case, request, protocol.Observed).observation

    def observe_losses(self, case: Case) -> Losses:
        """The first losses of a case in the side's own precision; raises as :meth:`observe`."""
        side = self.side
        request = protocol.ObserveLosses(case, side.mode, side.device, side.threads, side.precision)
        return self._ask(case, request, protocol.ObservedLosses).losses

    def _ask(self, case: Case, request: protocol.Request, expected: type[_R]) -> _R:
        try:
            session = self._session or self._start()
            return session.call(request, expected)
        except Declined:
            raise
        except HarnessError as error:
            told = "; ".join(self._session.last_lines()[-2:]) if self._session else ""
            self.close()
            raise HarnessError(f"case {case.name!r}: {error} {told}".strip()) from error

    def _start(self) -> Session:
        side = self.side
        settings = worker_settings(side.threads, side.device, os.environ) | dict(side.environment)
        limit = self._limit_seconds
        self._session = Session(settings, limit, side.python, silence_seconds=silence_within(limit))
        self._session.call(protocol.Describe(side.backend, side.threads), protocol.Described)
        return self._session

    def close(self) -> None:
        """End the worker, if there is one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._session is not None:
            self._session.kill()
        self.close()
