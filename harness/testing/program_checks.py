"""Checks beyond those of a certificate: leaks, the clock, predictions in batches, training states.

Each takes the programs of a backend and a case that passed, and returns the faults it found, a line each.
"""

import functools
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from harness.spec.backend import Unsupported
from harness.spec.task import Optimizer, Sgd, Task
from harness.testing.cases import SAMPLES, SEED, STEPS, Case, case_samples, data_network
from harness.testing.continuation import SavedState, observe_continuation
from harness.testing.continuation_words import state_fault
from harness.testing.dropout_masks import with_dropout
from harness.testing.trial_programs import TrialPrograms, first_losses
from harness.testing.waiting import observe_waiting
from harness.training.batches import BatchOrder

_ROUNDING = 1e-6
#: The step before which a training state is saved, the first of the second epoch.
_SAVED_AT = STEPS // 2
#: More rows than the batches in which most backends predict.
_MANY_ROWS = 1000


def leak(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether the training of one program changes the next: two trained in turn must each be as alone."""
    task = case.task
    alone = first_losses(programs.build(task), task)
    first, second = programs.build(task), programs.build(task)
    first_losses(first, task)
    beside = first_losses(second, task)
    if np.allclose(alone, beside, rtol=1e-9, atol=0):
        return []
    return [
        (
            "training state leaks between programs: the losses of a program change when another one was "
            "trained in the same process"
        )
    ]


def dishonest_clock(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether the clock stops before the work is done."""
    why = observe_waiting(programs, case).explanation
    return [f"its clock cannot be trusted: {why}"] if why else []


def wrong_rows(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether predict() gives many rows the same outputs as few."""
    program = programs.build(case.task)
    few, network = case_samples(case.task).inputs, data_network(case.task)
    times = 1 + _MANY_ROWS // len(few)
    expected = np.concatenate([program.predict(few, network)] * times)
    if np.allclose(program.predict(np.concatenate([few] * times), network), expected, rtol=_ROUNDING):
        return []
    return [f"predict() of {len(expected)} rows differs from predict() of {len(few)}: look at its batches"]


def faulty_state(programs: TrialPrograms, cases: Sequence[Case]) -> list[str]:
    """Whether a second program continues from a training state, by the task's optimizers, with dropout.

    What offers no training state is not tested.
    """
    plain, *_ = cases
    optimizers = [case.task.optimizer for case in cases]
    kept = {type(optimizer): optimizer for optimizer in optimizers if _has_state(optimizer)}
    tasks = [msgspec.structs.replace(plain.task, optimizer=optimizer) for optimizer in kept.values()]
    faults = (_state_fault(programs, task) for task in tasks or [plain.task])
    first = next(filter(None, faults), "")  # the next ones would often be the same
    return [first] if first else []


def _has_state(optimizer: Optimizer) -> bool:
    return not isinstance(optimizer, Sgd) or optimizer.momentum > 0


def _state_fault(programs: TrialPrograms, task: Task) -> str:
    """The first fault, with dropout or, where that is declined or has no state, without it."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    for variant in (with_dropout(task), task):
        try:
            program = programs.build(variant)
        except Unsupported:
            continue
        for start, count in _calls(order, 0, _SAVED_AT):
            program.train(order.steps(start, count))
        saved, calls = SavedState.of(program), list(_calls(order, _SAVED_AT, STEPS))
        if saved is not None:
            second = functools.partial(programs.build, variant)
            observed = observe_continuation(saved, program, second, variant, order, (calls, calls))
            return state_fault(observed, variant)
    return ""


def _calls(order: BatchOrder, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The first step and the number of steps of each call; the first makes one step."""
    count = 1
    while start < end:
        yield start, count
        start += count
        count = min(order.run_length(start), end - start)
