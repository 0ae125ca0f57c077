"""Federated averaging (McMahan et al. 2017) of an ordinary program: a client is a subset of samples.

A round is a training step of the program here, so that its time, its audit and its scores are those of any
other run.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from harness.core.training.draws import permutation, uniform
from harness.spec.backend import Program, Steps, Unsupported
from harness.spec.task import Federated, Task


def clients_of(federated: Federated, targets: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Assign each training sample to a client ``(n,)``; ``targets (n,)`` are for a Dirichlet split only."""
    count = len(targets)
    owners = np.empty(count, np.int64)
    if federated.clients > count:
        raise Unsupported(f"{federated.clients} clients are more than the {count} training samples")
    if not federated.dirichlet:
        owners[permutation(count, seed, "clients")] = np.arange(count) % federated.clients
        return owners
    for label in np.unique(targets):
        rows = np.flatnonzero(targets == label)
        shares = _dirichlet(federated.clients, federated.dirichlet, seed, int(label))
        order = permutation(len(rows), seed, "clients", int(label))
        # Where the rows of each client but the last end.
        ends = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        owners[rows[order]] = np.searchsorted(ends, np.arange(len(rows)), "right")
    sizes = np.bincount(owners, minlength=federated.clients)
    if not sizes.all():
        empty = int(np.count_nonzero(sizes == 0))
        raise Unsupported(
            f"{empty} of {federated.clients} clients have no sample in a Dirichlet split of concentration "
            f"{federated.dirichlet:g}; take fewer clients or a larger concentration"
        )
    return owners


def _dirichlet(count: int, concentration: float, seed: int, label: int) -> npt.NDArray[np.float64]:
    """Draw shares ``(count,)``: gamma variates, by the inverse distribution function, over their sum."""
    from scipy.special import gammaincinv

    draws = gammaincinv(concentration, uniform((count,), seed, "client shares", label))
    total = draws.sum()
    return draws / total if total > 0 else np.full(count, 1.0 / count)


class FederatedProgram(Program):
    """Trains a round in each step, with one program for all clients, one after the other.

    ``drift`` is how far clients part in the last round: the root of the mean squared distance of their
    parameters from the average, relative to the distance by which the average moved. It is 0 where all
    clients end at the same parameters.
    """

    def __init__(self, program: Program, task: Task, owners: npt.NDArray[np.int64]) -> None:
        """Average clients of ``program``, which has made no step; ``owners (n,)`` are :func:`clients_of`."""
        assert task.federated is not None  # noqa: S101  for the type checker
        self.device = program.device
        self.drift: float | None = None
        self._program, self._federated, self._owners = program, task.federated, owners
        self._batch_size = task.batch_size
        self._trained = sorted(task.parameters())
        self._weights: dict[str, np.ndarray] = {}
        self._new_state = program.training_state()
        if self._new_state is None and task.optimizer.slots:
            raise Unsupported(
                "federated averaging starts the optimizer of each client anew, for which a program needs "
                "training_state(); without it, use optimizer=sgd momentum=0"
            )

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = {name: np.array(array, np.float64) for name, array in weights.items()}
        self._program.load(self._weights)

    def weights(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self._weights.items()}

    def train(self, steps: Steps) -> np.ndarray:
        return np.array([self._round(steps, place) for place in range(len(steps.indices))])

    def _round(self, steps: Steps, place: int) -> float:
        """Train all clients and average; returns the mean loss over the samples that they saw."""
        clients = self._owners[steps.indices[place]]
        total: dict[str, np.ndarray] = {name: np.zeros_like(array) for name, array in self._weights.items()}
        moves, losses, seen = list[tuple[float, np.ndarray]](), 0.0, 0
        for client in range(self._federated.clients):
            columns = np.flatnonzero(clients == client)
            if not len(columns):  # of a round that takes a part of all samples
                continue
            share = len(columns) / len(clients)
            self._program.load(self._weights)
            if self._new_state is not None:  # an empty one, before the first step, empties the optimizer
                self._program.load_training_state(self._new_state)
            for part in self._local_steps(steps, place, columns):
                each = np.asarray(self._program.train(part), np.float64)
                losses += float(each.sum()) * part.indices.shape[1]
                seen += part.indices.size
            weights = self._program.weights()
            for name, array in weights.items():
                total[name] += share * array
            moves.append((share, self._flat(weights) - self._flat(self._weights)))
        self._weights = total
        self._program.load(total)
        mean = sum(share * move for share, move in moves)
        moved = float(np.linalg.norm(mean))
        apart = sum(share * float(np.square(move - mean).sum()) for share, move in moves) ** 0.5
        self.drift = apart / moved if moved else 0.0
        return losses / seen

    def _flat(self, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([np.asarray(weights[name], np.float64).ravel() for name in self._trained])

    def _local_steps(self, steps: Steps, place: int, columns: npt.NDArray[np.int64]) -> Iterator[Steps]:
        """Make the steps of one client, whose samples are in these ``columns`` of the round, in equal calls.

        The client's first pass takes them in the order of the round: a single client trains as without
        rounds.
        """
        key = hashlib.sha256(steps.indices[place].tobytes()).hexdigest()
        size = min(self._batch_size or len(columns), len(columns))
        for epoch in range(self._federated.local_epochs):
            order = columns[permutation(len(columns), key, "local", epoch)] if epoch else columns
            full = len(order) // size * size
            for part in (order[:full].reshape(-1, size), order[None, full:]):
                if part.size:
                    yield _part_of(steps, place, part)

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        return self._program.predict(inputs, network)

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._program.input_gradients(inputs, targets, network)

    def predictor(self, network: str = "model") -> Callable[[np.ndarray], np.ndarray]:
        return self._program.predictor(network)

    def synchronize(self) -> None:
        self._program.synchronize()

    def device_peak_memory_bytes(self) -> int | None:
        return self._program.device_peak_memory_bytes()

    def training_state(self) -> dict[str, np.ndarray] | None:
        return {}  # every round begins anew

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        del state


def _part_of(steps: Steps, place: int, columns: npt.NDArray[np.int64]) -> Steps:
    """Cut samples in ``columns (steps, batch)`` out of a round, with their draws, at the round's rate."""

    def taken(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[place][columns]

    rates = steps.learning_rates
    return Steps(
        steps.indices[place][columns],
        flips=taken(steps.flips),
        offsets=taken(steps.offsets),
        augmented=taken(steps.augmented),
        learning_rates=None if rates is None else np.full(len(columns), rates[place]),
    )
