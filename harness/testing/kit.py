"""The conformance kit for authors of backends: is it the same work, honestly timed, in every mode.

In a test file of the plugin's own::

    from harness.testing import backend_tests
    from my_module import MyBackend

    test_conformance = backend_tests(MyBackend(), tasks=["mlp"])

Without ``tasks`` all that are installed are tried. What it declines of a task fails, whether the task is
named or not, and so does a backend without float64, in which all is tried, on the CPU. A task's other checks
(float32, bfloat16, clock, dropout, ...) are made where plain gradient descent is right.
"""

import time
from collections.abc import Callable, Iterable

import numpy as np

from harness.errors import UsageError
from harness.plugins import checks, registry
from harness.plugins.faults import explain
from harness.plugins.program_contract import ContractBroken, checked_environment
from harness.spec.backend import Backend, Unsupported
from harness.testing.cases import SAMPLES, SEED, Case, case_samples, cases, data_network
from harness.testing.certify import declined_cases, reference_of
from harness.testing.dropout import careless_dropout, wrong_masks
from harness.testing.observation import Losses, observe, observe_losses
from harness.testing.parity import LOSS_TOLERANCES, compare, compare_losses
from harness.testing.trial_programs import TrialPrograms, first_losses
from harness.training.batches import BatchOrder

#: A readout right after synchronize() that takes this share of the training itself was not finished.
_UNFINISHED_SHARE = 0.3
_CLOCK_STEPS = 30
_ROUNDING = 1e-6
#: More than fit into one batch of most ways to predict.
_MANY_ROWS = 1000


class ConformanceError(AssertionError):
    """What a backend does against the contract, one fault a line."""


def check_backend(
    backend: Backend, tasks: Iterable[str] = (), modes: Iterable[str] = (), threads: int = 1
) -> None:
    """Check a backend on the CPU in this process, in each of its modes, on each task that has a reference.

    Raises:
        ConformanceError: lists every fault found, with what it points to.
        HarnessError: a task has no reference that fits it; where none is named, those that name no
            reference are left out.
    """
    try:
        checks.check(backend)
        checked_environment(backend.environment(threads), backend.name)
    except (ContractBroken, ValueError, TypeError) as error:
        raise ConformanceError(str(error)) from error
    wanted = list(tasks) or list(filter(_has_reference, registry.names("task")))
    if not wanted:
        raise UsageError("no task that is installed has a reference to hold a backend against")
    faults = [
        f"{backend.name}:{mode} on {task}: {fault}"
        for mode in modes or backend.modes
        for task in wanted
        for fault in _faults(backend, mode, task, threads)
    ]
    if faults:
        raise ConformanceError("\n".join(faults))


def backend_tests(
    backend: Backend, tasks: Iterable[str] = (), modes: Iterable[str] = (), threads: int = 1
) -> Callable[..., None]:
    """The checks as one parametrised pytest test: a case for each task and mode.

    Where no task is named, those that name no reference are skipped.
    """
    import pytest

    named = list(tasks)

    @pytest.mark.parametrize("task", named or registry.names("task"))
    @pytest.mark.parametrize("mode", list(modes) or backend.modes)
    def test_conformance(mode: str, task: str) -> None:
        if not named and not _has_reference(task):
            pytest.skip(f"task {task} has no reference")
        check_backend(backend, [task], [mode], threads)

    return test_conformance


def _has_reference(task: str) -> bool:
    return registry.task(task).reference is not None


def _faults(backend: Backend, mode: str, task_name: str, threads: int) -> list[str]:
    definition = registry.task(task_name)
    reference = reference_of(definition)
    faults = []
    declined: dict[str, list[str]] = {}
    wanted = cases(definition)
    plain_is_right = False
    for case in wanted:
        try:
            found = observe(backend, mode, "cpu", threads, case)
        except Unsupported as error:
            declined.setdefault(str(error), []).append(repr(case.name))
            continue
        except Exception as error:  # noqa: BLE001  whatever the backend raises is a fault to tell
            faults.append(f"case {case.name!r} raised {explain(error)}")
            continue
        finding = compare(case.name, found, reference.cases[case.name].observation)
        if not finding.passed:
            faults.append(f"case {case.name!r}: {finding.words}")
        elif case is wanted[0]:
            plain_is_right = True  # what follows is tried on that case, whatever becomes of the others
    if declined:
        faults.append(declined_cases(declined))
    if not plain_is_right:
        return faults
    losses = reference.cases[wanted[0].name].observation.losses
    faults += _deviation_as_timed(backend, mode, threads, wanted[0], losses)
    programs = TrialPrograms(backend, mode, threads)
    for examine in (_leak, _dishonest_clock, _wrong_rows, careless_dropout, wrong_masks):
        try:
            faults += examine(programs, wanted[0])
        except Exception as error:  # noqa: BLE001  as above
            faults.append(f"{examine.__name__.strip('_').replace('_', ' ')}: it raised {explain(error)}")
    return faults


def _deviation_as_timed(backend: Backend, mode: str, threads: int, case: Case, expected: Losses) -> list[str]:
    """Whether the first losses in the lower precisions, where the backend has them, are the reference's."""
    faults = []
    for precision in LOSS_TOLERANCES:
        try:
            found = observe_losses(backend, mode, "cpu", threads, case, precision)
        except Unsupported:
            continue
        finding = compare_losses(found, expected, precision)
        if not finding.passed:
            faults.append(finding.words)
    return faults


def _leak(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether one program's training shows in the next: two that train in turn must each be as alone."""
    task = case.task
    alone = first_losses(programs.build(task), task)
    first, second = programs.build(task), programs.build(task)
    first_losses(first, task)
    beside = first_losses(second, task)
    if np.allclose(alone, beside, rtol=1e-9, atol=0):
        return []
    return [
        (
            "training state leaks between programs: a program's losses change when another one was trained "
            "in the same process"
        )
    ]


def _dishonest_clock(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether work goes on after synchronize(): then reading the weights has to wait for it."""
    program = programs.build(case.task)
    order = BatchOrder.of_task(case.task, SAMPLES, SEED)
    for step in range(2):
        program.train(order.steps(step, 1))
    program.weights()  # what its first call alone takes, such as a compilation, is no work of the device's
    program.synchronize()
    start = time.perf_counter()
    for _ in range(_CLOCK_STEPS):
        program.train(order.steps(0, 1))
    program.synchronize()
    trained = time.perf_counter()
    program.weights()
    waited = time.perf_counter()
    program.weights()
    read = time.perf_counter()
    work = (waited - start) - (read - waited)
    late = (waited - trained) - (read - waited)
    if late < _UNFINISHED_SHARE * work:
        return []
    return [
        (
            f"the clock does not wait for the device: after synchronize() {late / work:.0%} of the work of "
            f"{_CLOCK_STEPS} steps was still to be done"
        )
    ]


def _wrong_rows(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether predict() answers many rows as it does few."""
    program = programs.build(case.task)
    few, network = case_samples(case.task).inputs, data_network(case.task)
    times = 1 + _MANY_ROWS // len(few)
    expected = np.concatenate([program.predict(few, network)] * times)
    if np.allclose(program.predict(np.concatenate([few] * times), network), expected, rtol=_ROUNDING):
        return []
    return [f"predict() of {len(expected)} rows answers otherwise than of {len(few)}: look at its batches"]
