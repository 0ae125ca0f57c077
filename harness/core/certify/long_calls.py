"""Comparison of steps in one long call of ``train`` with the same steps made one by one.

Other cases make calls of at most three steps, and compare them with the reference. Runs and duels make calls
of hundreds. Here two programs of one backend start from the same weights: the first makes calls as long as
those of a run, the second makes single steps. The second is the first's reference, so no file is needed.
"""

import msgspec
import numpy as np

from harness.core.certify.cases import SEED, Case, cases, narrow_networks
from harness.core.certify.digests import digests
from harness.core.certify.observation import (
    Observation,
    TrialPrograms,
    finite_losses,
    losses_of,
    require_finite,
)
from harness.core.certify.parity import Finding, compare
from harness.core.plugins.programs import data_changed
from harness.core.plugins.seal import DataSeal
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.spec.task import Augmentation, Sgd, Task, TaskDefinition

LONG_CALLS = "long calls"
#: Calls of the first epoch, all full steps of which they make, and of the second. Odd and even numbers, and
#: none that divides another: chunks of any usual size end with a remainder in one of them.
FIRST_EPOCH = (7, 23, 103)
SECOND_EPOCH = (5,)
#: Small, so that hundreds of steps are cheap; the last batch of an epoch has one sample less.
_BATCH_SIZE = 2
_SAMPLES = _BATCH_SIZE * sum(FIRST_EPOCH) + 1
#: The loss of a batch hardly changes within the case. Repeated batches show as repeated losses.
_LEARNING_RATE = 1e-4


class CallsObservation(msgspec.Struct, frozen=True):
    """The losses of each step and digests of the final weights: in long calls, and in single steps."""

    long: Observation
    single: Observation


def long_calls_case(definition: TaskDefinition) -> Case | None:
    """Make the case whose calls are compared; None for a task that takes all its data in one step.

    The case has the momentum and the augmentation that the task's options allow: state that must survive
    within a call, and draws that must be divided like the indices. Its networks are narrow where the task has
    an option ``width``.
    """
    tasks = [case.task for case in cases(definition)]
    plain = tasks[0]
    if plain.batch_size is None:
        return None
    momentum = 0.9 if any(_has_momentum(task) for task in tasks) else 0.0
    augmented = (task.augmentation for task in tasks if task.augmentation != Augmentation())
    task = msgspec.structs.replace(
        plain,
        networks=narrow_networks(definition),
        optimizer=Sgd(_LEARNING_RATE, momentum),
        batch_size=_BATCH_SIZE,
        augmentation=next(augmented, plain.augmentation),
    )
    return Case(LONG_CALLS, task, _SAMPLES)


def _has_momentum(task: Task) -> bool:
    return isinstance(task.optimizer, Sgd) and task.optimizer.momentum > 0


def long_calls() -> list[tuple[int, int]]:
    """Return the first step of each long call, counted from 0, and its number of steps."""
    counts = (*FIRST_EPOCH, 1, *SECOND_EPOCH)
    starts = np.cumsum((0, *counts[:-1])).tolist()
    return list(zip(starts, counts, strict=True))


def observe_calls(programs: TrialPrograms, case: Case) -> CallsObservation:
    """Train the case in long calls by one program, and in single steps by another."""
    long, single = _Trial(programs, case), _Trial(programs, case)
    long.train(long_calls())
    single.train([(step, 1) for start, count in long_calls() for step in range(start, start + count)])
    return CallsObservation(long.observed(), single.observed())


class _Trial:
    """A program of the case in training."""

    def __init__(self, programs: TrialPrograms, case: Case) -> None:
        samples = case.data()
        # Verified once: after each step it would cost as much as the step.
        self._seal = DataSeal({"training": samples})
        self._backend, self._task = programs.backend.name, case.task
        self.program = programs.build_with(case.task, samples)
        self.program.load(initial_weights(case.task, SEED))
        self.order = BatchOrder.of_task(case.task, case.samples, SEED)
        self._losses: list[np.ndarray] = []

    def train(self, calls: list[tuple[int, int]]) -> None:
        for start, count in calls:
            self._losses.append(losses_of(self.program, self.order.steps(start, count)))

    def observed(self) -> Observation:
        self.verify_data()
        weights = self.program.weights()
        require_finite("weights()", weights)
        return Observation(finite_losses(np.concatenate(self._losses)), weights=digests(self._task, weights))

    def verify_data(self) -> None:
        if part := self._seal.changed():
            raise data_changed(self._backend, part)


def compare_calls(observed: CallsObservation) -> Finding:
    """Compare long calls with the same steps made one by one."""
    return compare(LONG_CALLS, observed.long, observed.single)
