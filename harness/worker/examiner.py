"""Carries out certification cases in a worker process."""

import os
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from harness.certify.cases import Case
from harness.certify.certificate import Losses
from harness.certify.clients import ClientTests
from harness.certify.dropout import DropoutTests
from harness.certify.long_calls import CallsObservation
from harness.certify.noise import NoiseTests
from harness.certify.observation import Observation
from harness.certify.rounding import Located
from harness.certify.waiting import Waiting
from harness.errors import Declined, HarnessError
from harness.machine.worker_variables import ONE_ARENA, worker_variables
from harness.plugins.configuration import Configuration
from harness.spec.backend import Precision
from harness.worker import protocol
from harness.worker.session import Conversation, Session, silence_within

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
        self._paused = False

    def begin(self) -> None:
        """Grant the whole time limit to the certification that follows."""
        self._resume()
        if self._session is not None:
            self._session.renew_deadline()

    def pause(self) -> None:
        """Stop the worker until the next certification begins, so that it takes no CPU time."""
        if self._session is not None and not self._paused:
            self._session.pause()
            self._paused = True

    def _resume(self) -> None:
        if self._session is not None and self._paused:
            self._session.resume()
        self._paused = False

    def observe(self, case: Case) -> Observation:
        """What the configuration does on a case in float64.

        Raises:
            Declined: the backend does not support the case.
            HarnessError: it failed, hung or died; names the case.
        """
        return self._examine("steps", case, Observation)

    def observe_losses(self, case: Case, precision: Precision) -> Losses:
        """The first losses of a case in a precision; raises as :meth:`observe`."""
        return self._examine("losses", case, Losses, precision)

    def locate_rounding(self, case: Case) -> Located:
        """What in a case computes in float32; raises as :meth:`observe`."""
        return self._examine("rounding", case, Located)

    def observe_calls(self, case: Case) -> CallsObservation:
        """The steps of a case in long calls and one by one; raises as :meth:`observe`."""
        return self._examine("calls", case, CallsObservation)

    def test_dropout(self, case: Case) -> DropoutTests:
        """The statistical tests of dropout in a case's network; raises as :meth:`observe`."""
        return self._examine("dropout", case, DropoutTests)

    def test_noise(self, case: Case) -> NoiseTests:
        """The statistical tests of the noise of DP-SGD, in a case with it; raises as :meth:`observe`."""
        return self._examine("noise", case, NoiseTests)

    def test_clients(self, case: Case) -> ClientTests:
        """The tests of averaged clients on a case's network; raises as :meth:`observe`."""
        return self._examine("clients", case, ClientTests)

    def observe_waiting(self, case: Case) -> Waiting:
        """Whether ``synchronize`` waits, on a case in the precision of a run; raises as :meth:`observe`."""
        return self._examine("waiting", case, Waiting)

    def _examine(
        self, what: protocol.Examination, case: Case, kind: type[_T], precision: Precision | None = None
    ) -> _T:
        self._resume()  # tests of dropout follow a certificate from the cache
        own = self.configuration
        request = protocol.Examine(what, case, own.mode, own.device, own.threads, precision or own.precision)
        try:
            session = self._session or self._start()
            return msgspec.json.decode(session.call(request, protocol.Examined).observed, type=kind)
        except Declined:
            raise
        except HarnessError as error:
            raise self._failed(case, error) from error

    def _failed(self, case: Case, error: HarnessError) -> HarnessError:
        """The error with the case and the worker's last lines; ends the worker."""
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
        if self._session is not None:
            self._session.kill()

    def close(self) -> None:
        """End the worker, if there is one."""
        self._resume()
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
