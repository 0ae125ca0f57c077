"""Whether steps in one long call of ``train`` equal the same steps made one by one.

Other cases make calls of at most three steps, and compare them with the reference. Runs and duels make calls
of hundreds. Here two programs of one backend start from the same weights: the first makes calls as long as
those of a run, the second makes single steps. The second is the first's reference, so no file is needed.
"""

import msgspec
import numpy as np

from harness.plugins.building import build
from harness.plugins.data_seal import DataSeal
from harness.plugins.program_contract import CheckedProgram, data_changed, read_only
from harness.spec.backend import Backend, Plan
from harness.spec.task import Augmentation, Sgd, Task, TaskDefinition
from harness.testing.cases import SEED, Case, cases, narrow_networks
from harness.testing.continuation import Calls, Continuation, SavedState, observe_continuation
from harness.testing.digest import Piece, digests
from harness.testing.losses import Losses
from harness.testing.observation import finite_losses, losses_of, require_finite
from harness.training.batches import BatchOrder
from harness.training.initial import initial_weights

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

    long: Losses
    single: Losses
    long_weights: dict[str, list[Piece]]
    single_weights: dict[str, list[Piece]]
    continuation: Continuation | None = None
    """The last call, repeated from the training state before it; None where the program offers none."""


def long_calls_case(definition: TaskDefinition) -> Case | None:
    """The program whose calls are compared; None for a task that takes all its data in one step.

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
    """The first step of each long call, counted from 0, and its number of steps."""
    counts = (*FIRST_EPOCH, 1, *SECOND_EPOCH)
    starts = np.cumsum((0, *counts[:-1])).tolist()
    return list(zip(starts, counts, strict=True))


def observe_calls(backend: Backend, mode: str, device: str, threads: int, case: Case) -> CallsObservation:
    """Train the case in long calls by one program, and in single steps by another, in float64.

    The second then repeats the last call from the state that the first had before it.

    Raises:
        ValueError: weights are not finite.
        ContractBroken: the program broke the contract.
        Unsupported: the backend does not support the case.
    """
    plan = Plan(task=case.task, mode=mode, device=device, precision="float64", threads=threads, seed=SEED)
    *calls, last = long_calls()
    long, single = _Trial(backend, plan, case), _Trial(backend, plan, case)
    long.train(calls)
    saved = SavedState.of(long.program)
    single.train(one_by_one(*calls, last))
    single_losses, single_weights = single.losses(), single.weights()
    continuation = None
    if saved is None:
        long.train([last])
        long_losses, long_weights = long.losses(), long.weights()
    else:
        again = ([last], one_by_one(last))
        continuation = observe_continuation(
            saved, long.program, lambda: single.program, case.task, long.order, again
        )
        long_losses = long.losses() + continuation.expected
        long_weights = continuation.expected_weights
    long.verify_data()
    return CallsObservation(long_losses, single_losses, long_weights, single_weights, continuation)


def one_by_one(*calls: tuple[int, int]) -> list[tuple[int, int]]:
    """The steps of these calls, each in a call of its own."""
    return [(step, 1) for start, count in calls for step in range(start, start + count)]


class _Trial:
    """A program of the case in training."""

    def __init__(self, backend: Backend, plan: Plan, case: Case) -> None:
        samples = read_only(case.data())
        # Verified once: after each step it would cost as much as the step.
        self._seal = DataSeal({"training": samples})
        self._backend, self._task = backend.name, case.task
        self.program = CheckedProgram(build(backend, plan, samples), backend.name, plan)
        self.program.load(initial_weights(case.task, SEED))
        self.order = BatchOrder.of_task(case.task, case.samples, SEED)
        self._losses: list[np.ndarray] = []

    def train(self, calls: Calls) -> None:
        for start, count in calls:
            self._losses.append(losses_of(self.program, self.order.steps(start, count)))

    def losses(self) -> Losses:
        return finite_losses(np.concatenate(self._losses))

    def weights(self) -> dict[str, list[Piece]]:
        self.verify_data()
        weights = self.program.weights()
        require_finite("weights()", weights)
        return digests(self._task, weights)

    def verify_data(self) -> None:
        if part := self._seal.changed():
            raise data_changed(self._backend, "training in long calls or in single steps", part)
