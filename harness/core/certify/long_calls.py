"""Comparison of steps in one long call of ``train`` with the same steps made one by one.

Other cases make calls of at most three steps, and compare them with the reference. Runs and duels make calls
of hundreds. Here two programs of one backend start from the same weights: the first makes calls as long as
those of a run, the second makes single steps. The second is the first's reference, so no file is needed.
"""

import math

import msgspec
import numpy as np

from harness.core.certify.cases import SEED, Case, cases, narrow_networks
from harness.core.certify.certificate import Losses
from harness.core.certify.continuation import (
    Calls,
    Continuation,
    SavedState,
    observe_continuation,
    state_fault,
)
from harness.core.certify.digests import digests
from harness.core.certify.observation import (
    Observation,
    TrialPrograms,
    finite_losses,
    losses_of,
    require_finite,
)
from harness.core.certify.parity import TOLERANCE, Differences, Finding, beyond_rounding, listed
from harness.core.plugins.programs import data_changed
from harness.core.plugins.seal import DataSeal
from harness.core.stats.deviations import largest
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
    continuation: Continuation | None = None
    """The last call, repeated from the training state before it; None where the program offers none."""


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
    """Train the case in long calls by one program, and in single steps by another.

    The second program then repeats the last call from the state that the first program had before the call.
    """
    *calls, last = long_calls()
    long, single = _Trial(programs, case), _Trial(programs, case)
    long.train(calls)
    saved = SavedState.of(long.program)
    single.train(one_by_one(*calls, last))
    in_single = single.observed()
    continuation = None
    if saved is None:
        long.train([last])
        in_long = long.observed()
    else:
        again = ([last], one_by_one(last))
        continuation = observe_continuation(
            saved, long.program, lambda: single.program, case.task, long.order, again
        )
        losses = long.losses() + continuation.expected.losses
        in_long = msgspec.structs.replace(continuation.expected, losses=losses)
    long.verify_data()
    return CallsObservation(in_long, in_single, continuation)


def one_by_one(*calls: tuple[int, int]) -> list[tuple[int, int]]:
    """Divide these calls into calls of one step."""
    return [(step, 1) for start, count in calls for step in range(start, start + count)]


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

    def train(self, calls: Calls) -> None:
        for start, count in calls:
            self._losses.append(losses_of(self.program, self.order.steps(start, count)))

    def losses(self) -> Losses:
        return finite_losses(np.concatenate(self._losses))

    def observed(self) -> Observation:
        self.verify_data()
        weights = self.program.weights()
        require_finite("weights()", weights)
        return Observation(self.losses(), weights=digests(self._task, weights))

    def verify_data(self) -> None:
        if part := self._seal.changed():
            raise data_changed(self._backend, "training in long calls or in single steps", part)


def compare_calls(observed: CallsObservation) -> Finding:
    """Compare long calls with the same steps made one by one.

    If the program offers a training state, also check that a second program continues from that state.
    """
    differences = Differences.of(observed.long, observed.single)
    worst, wrong = differences.worst, differences.wrong_step
    if worst <= TOLERANCE:
        if observed.continuation is None:
            return Finding(LONG_CALLS, worst, "")
        fault = state_fault(observed.continuation)
        again = Differences.of(observed.continuation.observed, observed.continuation.expected)
        return Finding(LONG_CALLS, math.inf if fault else largest((worst, again.worst)), fault)
    if wrong is None:
        return Finding(
            LONG_CALLS,
            worst,
            "all losses in long calls equal those of the same steps made one by one, the weights after the "
            f"last step do not: {listed(beyond_rounding(differences.weights))}; look at how a long call ends",
        )
    return Finding(LONG_CALLS, worst, _explain(observed, wrong))


def _explain(observed: CallsObservation, wrong: int) -> str:
    """Name the first wrong loss, that of step ``wrong`` counted from 0, and the call that made it."""
    start, count = next(call for call in long_calls() if call[0] <= wrong < sum(call))
    long, single = observed.long.losses[wrong], observed.single.losses[wrong]
    return (
        f"step {wrong - start + 1} of a call of {count}, step {wrong + 1} of the training, differs from the "
        f"same step made alone: the loss is {_shown(long)} instead of {_shown(single)}; look at how a call "
        "is divided, at what is carried from step to step, and at the short last batch of an epoch"
    )


def _shown(row: list[float | None]) -> str:
    return " and ".join("not finite" if value is None else f"{value:.9g}" for value in row)
