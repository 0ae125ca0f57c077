"""Tests that averaged clients of a program train as central training demands (McMahan et al. 2017).

Two identities must hold, up to rounding: a single client with one local epoch trains as without rounds, and
clients that make one step each on all their samples make one step of plain gradient descent on the samples of
all. The harness averages; a program fails where it does not take or return its weights exactly, or where the
optimizer of one round goes on in the next.
"""

import msgspec
import numpy as np

from harness.core.certify.cases import SAMPLES, SEED, Case
from harness.core.certify.observation import TrialPrograms
from harness.core.training.batches import BatchOrder
from harness.core.training.federated import FederatedProgram
from harness.core.training.initial import initial_weights
from harness.spec.backend import Program
from harness.spec.task import Federated, Sgd, Task

_CLIENTS = 3
_MOMENTUM = 0.9
#: Largest deviation of weights, relative to the largest of their array.
_TOLERANCE = 1e-9


def allows_clients(task: Task) -> bool:
    """Check that averaging clients is defined for a task: it is not for two adversaries."""
    return len(task.networks) == 1


def client_tests(programs: TrialPrograms, case: Case) -> list[str]:
    """Return the faults on a case of plain gradient descent without clients; raises the backend's errors.

    The optimizer has momentum where programs offer a training state, to show that each round starts the state
    anew. Clients with running statistics of their own make no central step, so these cases are not compared.
    """
    task = case.task
    faults = []
    if not _is_central(programs, task, clients=1, epochs=2):
        faults.append("a single client of federated averaging does not train as without rounds")
    optimizer = Sgd(task.optimizer.learning_rate, momentum=_MOMENTUM)
    if not _is_central(programs, msgspec.structs.replace(task, optimizer=optimizer), clients=1, epochs=1):
        faults.append(
            "a round of federated averaging does not start the optimizer anew: load_training_state() keeps it"
        )
    if task.weights().keys() == task.parameters().keys():
        full = msgspec.structs.replace(task, batch_size=None)
        if not _is_central(programs, full, _CLIENTS, epochs=1):
            faults.append(
                f"steps of {_CLIENTS} clients on all their samples are not one step on the samples of all"
            )
    return faults


def _is_central(programs: TrialPrograms, task: Task, clients: int, epochs: int) -> bool:
    """Check that rounds of one epoch train like epochs without rounds."""
    program = programs.build(task)
    if program.training_state() is None and task.optimizer != Sgd(task.optimizer.learning_rate):
        return True  # such a program is refused clients with momentum
    federated = msgspec.structs.replace(task, federated=Federated(clients))
    averaging = FederatedProgram(program, federated, np.arange(SAMPLES) % clients)
    for epoch in range(epochs):
        central = _epoch(program, task, epoch)
    averaging.load(initial_weights(task, SEED))
    for epoch in range(epochs):
        averaged = _epoch(averaging, federated, epoch)
    return all(
        np.allclose(averaged[name], array, rtol=0, atol=_TOLERANCE * max(1.0, np.abs(array).max(initial=0.0)))
        for name, array in central.items()
    )


def _epoch(program: Program, task: Task, epoch: int) -> dict[str, np.ndarray]:
    """Train a program for an epoch; return its weights."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    for start, count in order.calls(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch):
        program.train(order.steps(start, count))
    return {name: np.array(array) for name, array in program.weights().items()}
