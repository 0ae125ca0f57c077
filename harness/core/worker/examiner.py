"""Carries out certification cases in a worker process."""

import os
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from harness.core.certify.cases import Case
from harness.core.certify.certify import Examination
from harness.core.machine.worker_variables import ONE_ARENA, worker_variables
from harness.core.plugins.configuration import Configuration
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session, silence_within
from harness.errors import Declined, HarnessError
from harness.spec.backend import Precision

_T = TypeVar("_T")


class Examiner:
    """Carries out certification cases in one worker for all tasks, because imports take long.

    A worker that fails in one case is replaced before the next.
    """

    def __init__(self, configuration: Configuration, limit_seconds: float | None = None) -> None:
        """``limit_seconds`` limits each certification; without it only the limit of silence ends a hang."""
        self.configuration = configuration
        self._limit_seconds = limit_seconds
        self._session: Session | None = None

    def begin(self) -> None:
        """Grant the whole time limit to the certification that follows."""
        if self._session is not None:
            self._session.resume()
            self._session.renew_deadline()

    def pause(self) -> None:
        """Stop the worker until the next certification begins, so that it takes no CPU time."""
        if self._session is not None:
            self._session.pause()

    def examine(self, kind: Examination[_T], case: Case, precision: Precision = "float64") -> _T:
        """See :meth:`harness.core.certify.certify.Examiner.examine`."""
        own = self.configuration
        request = protocol.Examine(kind.name, case, own.mode, own.device, own.threads, precision)
        try:
            session = self._session or self._start()
            observed = session.call(request, protocol.Examined).observed
        except Declined:
            raise
        except HarnessError as error:
            raise self._failed(case, error) from error
        result: _T = msgspec.json.decode(observed, type=kind.result)
        return result

    def _failed(self, case: Case, error: HarnessError) -> HarnessError:
        """Return the error with the case and the worker's last lines; end the worker."""
        reason = self._session.with_last_lines(error, 2) if self._session else str(error)
        self.close()
        return HarnessError(f"case {case.name!r}: {reason}")

    def _start(self) -> Session:
        configuration = self.configuration
        variables = worker_variables(configuration.threads, configuration.device, os.environ)
        # Threads that compile wait for a single arena: JAX took 1.4 times as long. No time is compared here.
        variables.pop(ONE_ARENA, None)
        variables |= dict(configuration.variables)
        limit = self._limit_seconds
        self._session = Session(variables, limit, configuration.python, silence_seconds=silence_within(limit))
        Conversation(self._session, configuration.backend, configuration.threads).describe()
        return self._session

    def kill(self) -> None:
        """Kill the worker, if there is one: what another thread asks of it fails."""
        if (session := self._session) is not None:  # which the other thread may set to None
            session.kill()

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
        if kind is not None:
            self.kill()
        self.close()
