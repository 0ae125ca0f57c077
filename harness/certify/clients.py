"""Whether clients of a program, averaged, train as central training demands (McMahan et al. 2017).

Two sums must come out, to rounding: a single client with one local epoch trains as without rounds, and
clients that make one step each on all their samples make one step of plain gradient descent on the samples of
all. The harness averages; a program fails where it does not take or return its weights exactly, or where the
optimizer of one round goes on in the next.
"""

import msgspec
import numpy as np

from harness.certify.cases import SAMPLES, SEED
from harness.certify.observation import TrialPrograms
from harness.spec.backend import Program
from harness.spec.task import Federated, Sgd, Task
from harness.training.batches import BatchOrder
from harness.training.federated import FederatedProgram
from harness.training.initial import initial_weights

_CLIENTS = 3
_MOMENTUM = 0.9
#: Of weights relative to the largest of their array.
_TOLERANCE = 1e-9

_Weights = dict[str, np.ndarray]


class ClientTests(msgspec.Struct, frozen=True):
    """The faults found, a line each."""

    faults: list[str]


def allows_clients(task: Task) -> bool:
    """Whether averaging clients is defined for a task: not for two adversaries."""
    return len(task.networks) == 1


def client_tests(programs: TrialPrograms, task: Task) -> ClientTests:
    """All tests on a task of plain gradient descent, without clients; raises what the backend raises.

    The optimizer has momentum where programs offer a training state, which shows whether each round starts it
    anew. Clients with running statistics of their own make no central step, so these are not compared.
    """
    faults = [_rounds(programs, task), _anew(programs, task)]
    if task.weights().keys() == task.parameters().keys():
        faults.append(_one_step(programs, task))
    return ClientTests([fault for fault in faults if fault])


def _rounds(programs: TrialPrograms, task: Task) -> str:
    """Whether a single client trains two rounds, each an epoch, as without rounds."""
    program = programs.build(task)
    clients = _federated(program, task, clients=1)
    for epoch in (0, 1):
        central = _epoch(program, task, epoch)
    clients.load(initial_weights(task, SEED))
    for number in (0, 1):
        averaged = _epoch(clients, _with_clients(task, 1), number)
    if _agree(averaged, central):
        return ""
    return "a single client of federated averaging does not train as without rounds"


def _anew(programs: TrialPrograms, plain: Task) -> str:
    """Whether a round takes nothing of the momentum that the program has before it."""
    rate = plain.optimizer.learning_rate
    task = msgspec.structs.replace(plain, optimizer=Sgd(rate, momentum=_MOMENTUM))
    program = programs.build(task)
    if program.training_state() is None:  # such a program is refused clients with momentum
        return ""
    clients = _federated(program, task, clients=1)
    central = _epoch(program, task, 0)
    clients.load(initial_weights(task, SEED))
    if _agree(_epoch(clients, _with_clients(task, 1), 0), central):
        return ""
    return "a round of federated averaging does not start the optimizer anew: load_training_state() keeps it"


def _one_step(programs: TrialPrograms, plain: Task) -> str:
    """Whether steps of all clients on all their samples are one step of gradient descent."""
    task = msgspec.structs.replace(plain, batch_size=None)
    program = programs.build(task)
    central = _epoch(program, task, 0)
    clients = _federated(program, task, _CLIENTS)
    clients.load(initial_weights(task, SEED))
    if _agree(_epoch(clients, _with_clients(task, _CLIENTS), 0), central):
        return ""
    return f"steps of {_CLIENTS} clients on all their samples are not one step on the samples of all"


def _federated(program: Program, task: Task, clients: int) -> FederatedProgram:
    return FederatedProgram(program, _with_clients(task, clients), np.arange(SAMPLES) % clients)


def _with_clients(task: Task, clients: int) -> Task:
    return msgspec.structs.replace(task, federated=Federated(clients))


def _epoch(program: Program, task: Task, epoch: int) -> _Weights:
    """The weights after a program's training of an epoch."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    step, end = epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch
    while step < end:
        count = order.run_length(step)
        program.train(order.steps(step, count))
        step += count
    return {name: np.array(array) for name, array in program.weights().items()}


def _agree(observed: _Weights, expected: _Weights) -> bool:
    return all(
        np.allclose(observed[name], array, rtol=0, atol=_TOLERANCE * max(1.0, np.abs(array).max(initial=0.0)))
        for name, array in expected.items()
    )
