"""Whether steps in one long call of ``train`` equal the same steps made one by one.

Other cases make calls of at most three steps, and compare them with the reference. Runs and duels make calls
of hundreds. Here two programs of one backend start from the same weights: the first makes calls as long as
those of a run, the second makes single steps. The second is the first's reference, so no file is needed.
"""

import msgspec
import numpy as np

from harness.plugins.data_seal import DataSeal
from harness.plugins.program_contract import CheckedProgram, data_changed, read_only
from harness.spec.backend import Backend, Plan
from harness.spec.task import Augmentation, Sgd, Task, TaskDefinition
from harness.testing.cases import SEED, Case, cases, narrow_networks
from harness.testing.digest import Piece, digest, gates_of
from harness.testing.loss_tape import LossTape
from harness.testing.losses import Losses
from harness.testing.observation import finite_losses, require_finite
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

    Raises:
        ValueError: weights are not finite.
        ContractBroken: the program broke the contract.
        Unsupported: the backend does not support the case.
    """
    plan = Plan(task=case.task, mode=mode, device=device, precision="float64", threads=threads, seed=SEED)
    steps = sum(count for _, count in long_calls())
    long = _trained(backend, plan, case, long_calls())
    single = _trained(backend, plan, case, [(step, 1) for step in range(steps)])
    return CallsObservation(long[0], single[0], long[1], single[1])


def _trained(
    backend: Backend, plan: Plan, case: Case, calls: list[tuple[int, int]]
) -> tuple[Losses, dict[str, list[Piece]]]:
    samples = read_only(case.data())
    seal = DataSeal({"training": samples})  # verified once: after each step it would cost as much as the step
    program = CheckedProgram(backend.build(plan, samples), backend.name, plan)
    program.load(initial_weights(case.task, SEED))
    order = BatchOrder.of_task(case.task, case.samples, SEED)
    tape = LossTape(program)
    for start, count in calls:
        tape.train(order.steps(start, count))
    if part := seal.changed():
        raise data_changed(backend.name, "training in long calls or in single steps", part)
    weights, gates = program.weights(), gates_of(case.task)
    require_finite("weights()", weights)
    pieces = {name: digest(array, gates.get(name, ("",))) for name, array in weights.items()}
    return finite_losses(tape.losses()), pieces
