"""Carries out certification cases in this process, for authors who test a backend object."""

from collections.abc import Callable
from typing import TypeVar

from harness.errors import Declined
from harness.plugins.configuration import Configuration
from harness.spec.backend import Backend, Precision, Unsupported
from harness.testing.case_errors import case_failed
from harness.testing.cases import Case
from harness.testing.dropout import DropoutTests, dropout_tests
from harness.testing.long_calls import CallsObservation, observe_calls
from harness.testing.losses import Losses
from harness.testing.observation import Observation, observe, observe_losses
from harness.testing.trial_programs import TrialPrograms

_T = TypeVar("_T")


class InProcessExaminer:
    """An :class:`harness.testing.certify.Examiner` of a backend in a mode, on the CPU of this process."""

    def __init__(self, backend: Backend, mode: str, threads: int) -> None:
        self.configuration = Configuration(backend.name, mode, "cpu", threads)
        self._backend = backend
        self.contract = backend.contract

    def begin(self) -> None:
        """Nothing: there is no time limit."""

    def observe(self, case: Case) -> Observation:
        """What the backend does on a case in float64; raises Declined or HarnessError."""
        mode, threads = self.configuration.mode, self.configuration.threads
        return _carry_out(case, lambda: observe(self._backend, mode, "cpu", threads, case))

    def observe_losses(self, case: Case, precision: Precision) -> Losses:
        """The first losses of a case in a precision; raises Declined or HarnessError."""
        mode, threads = self.configuration.mode, self.configuration.threads
        return _carry_out(case, lambda: observe_losses(self._backend, mode, "cpu", threads, case, precision))

    def observe_calls(self, case: Case) -> CallsObservation:
        """The steps of a case in long calls and one by one; raises Declined or HarnessError."""
        mode, threads = self.configuration.mode, self.configuration.threads
        return _carry_out(case, lambda: observe_calls(self._backend, mode, "cpu", threads, case))

    def test_dropout(self, case: Case) -> DropoutTests:
        """The statistical tests of dropout in the case's network; raises Declined or HarnessError."""
        programs = TrialPrograms(self._backend, self.configuration.mode, self.configuration.threads)
        return _carry_out(case, lambda: dropout_tests(programs, case))


def _carry_out(case: Case, work: Callable[[], _T]) -> _T:
    try:
        return work()
    except Unsupported as error:
        raise Declined(str(error)) from error
    except Exception as error:
        raise case_failed(case.name, error) from error
