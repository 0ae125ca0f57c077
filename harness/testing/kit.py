"""The conformance kit for authors of backends: the same work, honestly timed, in every mode.

In a test file of the plugin::

    from harness.testing import backend_tests
    from my_module import MyBackend

    test_conformance = backend_tests(MyBackend(), tasks=["mlp"])

Without ``tasks``, all installed tasks are checked. Every case is run on the CPU in float64. A backend fails
for each case that it declines, except for losses that it does not declare
(:attr:`harness.spec.Backend.losses`) and for DP-SGD if it has no gradients of single samples. Further checks
of a task (float32, bfloat16, dropout, ...) are made once plain gradient descent passes.
"""

import dataclasses
import textwrap
from collections.abc import Callable, Iterable
from typing import TypeVar

from harness.core.certify.cases import Case, cases
from harness.core.certify.certify import Examination, Skipped, declined_cases, examine, examine_losses
from harness.core.certify.observation import TrialPrograms
from harness.core.certify.parity import LOSS_TOLERANCES, Finding, first_of
from harness.core.plugins import checks, registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.faults import explain, plugin_frames
from harness.core.plugins.programs import ContractBroken, UndeclaredLoss, checked_environment
from harness.errors import Declined, HarnessError, LossNotDeclared, UsageError
from harness.spec.backend import Backend, Precision, Unsupported
from harness.spec.task import TaskDefinition
from harness.testing.checks import (
    faulty_state,
    leak,
    wrong_clients,
    wrong_dropout,
    wrong_gradients,
    wrong_noise,
    wrong_rows,
)

#: Cases of an error that are named; the others are counted.
_NAMED = 2


class CaseFailed(HarnessError):
    """An error that stopped a case.

    ``reason`` is the error in words; ``frames`` are the frames of the plugin, as a traceback shows them.
    """

    def __init__(self, case: str, reason: str, frames: str = "") -> None:
        """Set the message from the case and the reason."""
        super().__init__(f"case {case!r}: {reason}")
        self.case, self.reason, self.frames = case, reason, frames


def raised(what: str, error: Exception) -> str:
    """Return a fault: ``what`` raised an error, followed by the plugin's frames."""
    return _with_frames(f"{what} raised {explain(error)}", plugin_frames(error))


def listed_errors(errors: Iterable[CaseFailed]) -> list[str]:
    """Return a fault for each different error, with the names of its cases."""
    cases: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        cases.setdefault((error.reason, error.frames), []).append(repr(error.case))
    return [
        _with_frames(f"case{'s' * (len(names) > 1)} {first_of(names, _NAMED)}: {reason}", frames)
        for (reason, frames), names in cases.items()
    ]


def _with_frames(text: str, frames: str) -> str:
    return f"{text}\n{textwrap.indent(frames, '  ')}" if frames else text


_T = TypeVar("_T")


class InProcessExaminer:
    """An examiner of a backend in a mode, on the CPU of this process."""

    def __init__(self, backend: Backend, mode: str, threads: int) -> None:
        self.configuration = Configuration(backend.name, mode, "cpu", threads)
        self._programs = TrialPrograms(backend, mode, threads)

    def begin(self) -> None:
        """Do nothing: the examiner has no time limit."""

    def examine(self, kind: Examination[_T], case: Case, precision: Precision = "float64") -> _T:
        """See :meth:`harness.core.certify.certify.Examiner.examine`."""
        try:
            return kind.observe(dataclasses.replace(self._programs, precision=precision), case)
        except UndeclaredLoss as error:
            raise LossNotDeclared(str(error)) from error
        except Unsupported as error:
            raise Declined(str(error)) from error
        except HarnessError as error:  # a violation of the contract needs no frames
            raise CaseFailed(case.name, str(error)) from error
        except Exception as error:
            raise CaseFailed(case.name, f"raised {explain(error)}", plugin_frames(error)) from error


class ConformanceError(AssertionError):
    """Violations of the contract by a backend: one fault a line, followed by the plugin's frames, if any."""


def check_backend(
    backend: Backend, tasks: Iterable[str] = (), modes: Iterable[str] = (), threads: int = 1
) -> None:
    """Check a backend on the CPU in this process, in each of its modes, on each task that has a reference.

    Raises:
        ConformanceError: lists every fault.
        HarnessError: a task has no reference that fits it. Without ``tasks``, tasks that name no reference
            are left out.
    """
    _check_attributes(backend, threads)
    names = list(tasks) or list(filter(_has_reference, registry.names("task")))
    if not names:
        raise UsageError("no installed task has a reference to compare a backend with")
    faults = [
        f"{backend.name}:{mode} on {name}: {fault}"
        for mode in modes or backend.modes
        for name in names
        for fault in _faults(backend, mode, registry.task(name), threads)
    ]
    if faults:
        raise ConformanceError("\n".join(faults))


def _check_attributes(backend: Backend, threads: int) -> None:
    try:
        checks.check(backend)
    except (ValueError, TypeError) as error:
        raise ConformanceError(str(error)) from error
    try:
        checked_environment(backend.environment(threads), backend.name)
    except ContractBroken as error:
        raise ConformanceError(str(error)) from error
    except Exception as error:
        raise ConformanceError(raised(f"{backend.name}: environment()", error)) from error


def backend_tests(
    backend: Backend, tasks: Iterable[str] = (), modes: Iterable[str] = (), threads: int = 1
) -> Callable[..., None]:
    """Return the checks as one parametrised pytest test, with a case for each task and mode.

    Without ``tasks``, tasks that name no reference are skipped.
    """
    import pytest

    named = list(tasks)

    @pytest.mark.parametrize("task", named or registry.names("task"))
    @pytest.mark.parametrize("mode", list(modes) or backend.modes)
    def test_conformance(mode: str, task: str) -> None:
        if not named and not _has_reference(task):
            pytest.skip(f"task {task} has no reference")
        try:
            check_backend(backend, [task], [mode], threads)
        except (ConformanceError, HarnessError) as error:
            faults = str(error)
        else:
            return
        pytest.fail(faults, pytrace=False)  # the message alone: no frame of the harness is at fault

    return test_conformance


def _has_reference(task: str) -> bool:
    return registry.task(task).reference is not None


def _faults(backend: Backend, mode: str, definition: TaskDefinition, threads: int) -> list[str]:
    examiner = InProcessExaminer(backend, mode, threads)
    first, *_ = cases(definition)
    faults, findings, errors = [], [], []
    declined: dict[str, list[str]] = {}
    for case, outcome in examine(examiner, definition):
        if isinstance(outcome, Declined):
            declined.setdefault(str(outcome), []).append(case.name)
        elif isinstance(outcome, CaseFailed):
            errors.append(outcome)
        elif isinstance(outcome, Skipped):
            faults.append(f"case {case.name!r} was skipped, because case {outcome.because!r} failed")
        elif isinstance(outcome, Finding):
            findings.append(outcome)
    faults = listed_errors(errors) + faults
    faults += [f"case {finding.case!r}: {finding.explanation}" for finding in findings if not finding.passed]
    if declined:
        faults.append(declined_cases(declined))
    if not any(finding.passed and finding.case == first.name for finding in findings):
        return faults
    faults += _faults_as_timed(examiner, definition)
    programs = TrialPrograms(backend, mode, threads)
    for find in (leak, wrong_rows, wrong_gradients, wrong_dropout, wrong_clients):
        faults += _found(find, programs, first)
    faults += _found(wrong_noise, programs, cases(definition))
    return faults + _found(faulty_state, programs, cases(definition))


def _found(find: Callable[[TrialPrograms, _T], list[str]], programs: TrialPrograms, what: _T) -> list[str]:
    """Return the faults that ``find`` reports; an exception of the backend is a fault, too."""
    try:
        return find(programs, what)
    except Exception as error:  # noqa: BLE001
        return [raised(f"{find.__name__.replace('_', ' ').strip()}:", error)]


def _faults_as_timed(examiner: InProcessExaminer, definition: TaskDefinition) -> list[str]:
    """Return deviations of the first losses in the lower precisions that the backend supports."""
    faults = []
    for precision in LOSS_TOLERANCES:
        try:
            finding = examine_losses(examiner, definition, precision)
        except Declined:
            continue
        except CaseFailed as error:
            faults += [f"{precision}: {fault}" for fault in listed_errors([error])]
        else:
            faults += [finding.explanation] * (not finding.passed)
    return faults
