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

    It has the momentum and the augmentation that the task's options allow: state that must survive within a
    call, and draws that must be divided as the indices are. Its networks are narrow where the task has an
    option ``width``.
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

    The second then repeats the last call from the state that the first had before it.

    Raises:
        ValueError: weights are not finite.
        ContractBroken: the program broke the contract.
        Unsupported: the backend does not support the case.
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


#: A repetition is claimed from this many losses on, of at most so many.
_FEWEST, _MOST = 4, 8
#: Losses of a repeated batch differ from its first ones by at most this share of the spread of all losses.
_REPEATED_SHARE = 0.25


def compare_calls(observed: CallsObservation, task: Task) -> Finding:
    """Compare the long calls of this task with the same steps made one by one.

    Where the program offers a training state, also whether a second program continues from it.
    """
    differences = Differences.of(observed.long, observed.single)
    worst, wrong = differences.worst, differences.wrong_step
    if worst <= TOLERANCE:
        if observed.continuation is None:
            return Finding(LONG_CALLS, worst, "")
        fault = state_fault(observed.continuation, task)
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
    """Explain the first wrong loss, that of step ``wrong`` counted from 0."""
    calls = long_calls()
    number = next(i for i, (start, count) in enumerate(calls) if start <= wrong < start + count)
    start, count = calls[number]
    long, single = observed.long.losses[wrong], observed.single.losses[wrong]
    values = f"the loss is {_shown(long)} instead of {_shown(single)}"
    if count == 1:
        return (
            f"the short last batch after a call of {calls[number - 1][1]} steps differs from the same step "
            f"after single steps: {values}; look for a batch that is skipped at the end of an epoch, or for "
            "a call that left its last steps out"
        )
    place = wrong - start
    text = (
        f"steps in one call of {count} differ from the same steps made one by one, from step {place + 1} "
        f"on: {values}"
    )
    earlier = _repeated(observed, start, wrong, start + count)
    if earlier is not None:
        return (
            f"{text}: it repeats that of step {earlier - start + 1}: the call trains on batches that it has "
            "trained on before"
        )
    if place == 0 and observed.continuation is not None and number == len(calls) - 1:
        return f"{text}: look at training_state(), which was called before and must not change the training"
    if place == 0 and number:
        return f"{text}: look at what the call of {calls[number - 1][1]} steps before it left undone"
    return f"{text}: look at how a call is divided into parts, and at what is carried from step to step"


def _repeated(observed: CallsObservation, start: int, wrong: int, end: int) -> int | None:
    """Find the step whose losses the long call repeats from step ``wrong`` on; None if it repeats none."""
    length = min(_MOST, end - wrong)
    long, single = _array(observed.long.losses), _array(observed.single.losses)
    if length < _FEWEST or not (np.isfinite(long).all() and np.isfinite(single).all()):
        return None
    spread = np.abs(single - single.mean(axis=0)).mean()
    repeated = long[wrong : wrong + length]
    distances = {
        step: np.abs(repeated - single[step : step + length]).mean()
        for step in range(start, wrong)
        if step + length <= len(single)
    }
    nearest = min(distances, key=distances.__getitem__, default=None)
    close = nearest is not None and distances[nearest] <= _REPEATED_SHARE * spread
    return nearest if close else None


def _array(losses: Losses) -> np.ndarray:
    return np.array([[np.nan if value is None else value for value in row] for row in losses])


def _shown(row: list[float | None]) -> str:
    return " and ".join("not finite" if value is None else f"{value:.9g}" for value in row)
