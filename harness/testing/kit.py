"""The conformance kit for authors of backends: the same work, honestly timed, in every mode.

In a test file of the plugin::

    from harness.testing import backend_tests
    from my_module import MyBackend

    test_conformance = backend_tests(MyBackend(), tasks=["mlp"])

Without ``tasks`` all installed tasks are checked. A backend fails for what it declines of a task, named or
not, and for lack of float64, in which every case is run, on the CPU. Further checks of a task (float32,
bfloat16, clock, dropout, ...) are made once plain gradient descent passes.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from harness.errors import Declined, HarnessError, UsageError
from harness.plugins import checks, registry
from harness.plugins.program_contract import ContractBroken, checked_environment
from harness.spec.backend import Backend
from harness.spec.task import TaskDefinition
from harness.testing.case_errors import CaseFailed, listed_errors, raised
from harness.testing.cases import cases
from harness.testing.certify import Skipped, declined_cases, examine, examine_losses
from harness.testing.diagnosis import diagnosed
from harness.testing.dropout import careless_dropout, wrong_masks
from harness.testing.in_process import InProcessExaminer
from harness.testing.parity import LOSS_TOLERANCES
from harness.testing.program_checks import dishonest_clock, faulty_state, leak, wrong_rows
from harness.testing.trial_programs import TrialPrograms

_T = TypeVar("_T")


class ConformanceError(AssertionError):
    """How a backend violates the contract: one fault a line, below it the plugin's frames where it raised."""


def check_backend(
    backend: Backend, tasks: Iterable[str] = (), modes: Iterable[str] = (), threads: int = 1
) -> None:
    """Check a backend on the CPU in this process, in each of its modes, on each task that has a reference.

    Raises:
        ConformanceError: lists every fault, with what it points to.
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
    """The checks as one parametrised pytest test: a case for each task and mode.

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
        elif isinstance(outcome, HarnessError):
            faults.append(str(outcome))
        elif isinstance(outcome, Skipped):
            faults.append(f"case {case.name!r} was skipped, because case {outcome.because!r} failed")
        else:
            findings.append(outcome)
    faults = listed_errors(errors) + faults
    faults += [
        f"case {finding.case!r}: {finding.explanation}"
        for finding in diagnosed(findings, cases(definition))
        if not finding.passed
    ]
    if declined:
        faults.append(declined_cases(declined))
    if not any(finding.passed and finding.case == first.name for finding in findings):
        return faults
    faults += _faults_as_timed(examiner, definition)
    programs = TrialPrograms(backend, mode, threads)
    for find in (leak, dishonest_clock, wrong_rows, careless_dropout, wrong_masks):
        faults += _found(find, programs, first)
    return faults + _found(faulty_state, programs, cases(definition))


def _found(find: Callable[[TrialPrograms, _T], list[str]], programs: TrialPrograms, what: _T) -> list[str]:
    """The faults that a check finds; whatever the backend raises is one."""
    try:
        return find(programs, what)
    except Exception as error:  # noqa: BLE001
        return [raised(f"{find.__name__.replace('_', ' ')}:", error)]


def _faults_as_timed(examiner: InProcessExaminer, definition: TaskDefinition) -> list[str]:
    """Deviations of the first losses in the lower precisions that the backend supports."""
    faults = []
    for precision in LOSS_TOLERANCES:
        try:
            finding = examine_losses(examiner, definition, precision)
        except Declined:
            continue
        except CaseFailed as error:
            faults += [f"{precision}: {fault}" for fault in listed_errors([error])]
            continue
        except HarnessError as error:
            faults.append(f"{precision}: {error}")
            continue
        if not finding.passed:
            faults.append(finding.explanation)
    return faults
