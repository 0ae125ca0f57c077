"""How often a program keeps each value that it may drop, read from single steps of gradient descent.

The weights of the network's last layer are zero. So its outputs, and the gradient that the loss returns, are
the same whatever is dropped before it, and the gradient of a row of its kernel is proportional to its input.
A batch of copies of one sample then shows in how many copies each input was kept.
"""

import msgspec
import numpy as np

from harness.layers import AnyLayer, Dense, Dropout, Flatten, Native, SelfAttention
from harness.network import Network
from harness.spec.backend import Steps
from harness.spec.schedules import ConstantRate
from harness.spec.task import Augmentation, Classification, Penalty, Sgd, Task
from harness.testing.cases import SEED, case_samples, data_network
from harness.testing.trial_programs import TrialPrograms
from harness.training.initial import initial_weights

#: Not a half, where dropped and kept values could be mistaken for each other.
RATE = 0.25
COPIES = 8
_STEPS = 4
_ROUNDING = 1e-6
#: For tasks whose network does not end in a linear layer, such as a transformer with tied weights.
_SUBSTITUTE = Network((16,), (Dense(32), Dense(10)))
_POSITIONS, _HEADS = 4, 2
_WIDTH = _POSITIONS * _HEADS


def copies_kept(programs: TrialPrograms, task: Task) -> np.ndarray:
    """How many copies kept each input of the last layer, ``(steps, inputs)``; zeros are left out.

    The network is the task's, with dropout ahead of its last layer, if that is linear. Raises what the
    backend raises.
    """
    bare = _bare(task, task.networks["model"] if _ends_linear(task) else _SUBSTITUTE)
    start = _with_zero_outputs(bare)
    share, nonzero = _shares(programs, bare, with_dropout(bare, RATE), start)
    return share[:, nonzero] * ((1 - RATE) * COPIES)


def attention_kept(programs: TrialPrograms, task: Task) -> np.ndarray:
    """How many copies kept each weight of an attention, ``(steps, positions * heads * positions)``.

    All scores are zero, so all weights are equal, and a head's values are a square matrix: the outputs of a
    position show which of its weights were kept. Raises what the backend raises.
    """
    bare, thinned = (_bare(task, _attention(rate)) for rate in (0.0, RATE))
    start = _with_zero_outputs(bare)
    layer, identity = "model/self_attention_1", np.eye(_WIDTH)
    start |= {
        f"{layer}/qkv_kernel": np.hstack([np.zeros((_WIDTH, 2 * _WIDTH)), identity]),
        f"{layer}/output_kernel": identity,
    }
    share, _ = _shares(programs, bare, thinned, start)
    values = case_samples(bare).inputs[0]  # (key, feature)
    kept = share.reshape(_STEPS, _POSITIONS, _WIDTH) * ((1 - RATE) * COPIES) * values.sum(axis=0)
    by_head = [
        part @ np.linalg.inv(own)  # (step, query, feature) to (step, query, key)
        for part, own in zip(np.split(kept, _HEADS, axis=2), np.split(values, _HEADS, axis=1), strict=True)
    ]
    return np.stack(by_head, axis=2).reshape(_STEPS, -1)


def with_dropout(task: Task, rate: float = 0.5) -> Task:
    """The task with dropout ahead of the last layer of the network that sees the data.

    In a user's own model that drops values it is the dropout of its code, at its own rates.
    """
    name = data_network(task)
    network = task.networks[name]
    layers: tuple[AnyLayer, ...] = (*network.layers[:-1], Dropout(rate), network.layers[-1])
    match network.layers[-1]:
        case Native(dropout="off") as own:
            layers = (*network.layers[:-1], msgspec.structs.replace(own, dropout="active"))
    return msgspec.structs.replace(
        task, networks=task.networks | {name: msgspec.structs.replace(network, layers=layers)}
    )


def _attention(rate: float) -> Network:
    return Network((_POSITIONS, _WIDTH), (SelfAttention(_HEADS, dropout=rate), Flatten(), Dense(10)))


def _last(task: Task) -> str:
    return f"model/{task.networks['model'].placed()[-1].name}"


def _with_zero_outputs(bare: Task) -> dict[str, np.ndarray]:
    """The initial weights, those of the last layer zero."""
    last, start = _last(bare), initial_weights(bare, SEED)
    return {name: np.zeros_like(w) if name.startswith(f"{last}/") else w for name, w in start.items()}


def _shares(
    programs: TrialPrograms, whole: Task, thinned: Task, start: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Each input of the last layer, summed over the copies, as a share of what it is without dropout.

    ``(steps, inputs)``, and which inputs are not zero without dropout ``(inputs,)``.
    """
    kernel = f"{_last(whole)}/kernel"

    def updates(task: Task) -> np.ndarray:
        program, kernels = programs.build(task), []
        for _ in range(_STEPS):
            program.load(start)
            program.train(Steps(np.zeros((1, COPIES), np.int64), learning_rates=np.ones(1)))
            kernels.append(program.weights()[kernel])
        return np.array(kernels)

    expected, observed = updates(whole)[0], updates(thinned)
    size = (expected * expected).sum(axis=1)
    nonzero = size > _ROUNDING * size.max()
    share: np.ndarray = (expected * observed).sum(axis=2) / np.where(nonzero, size, 1.0)
    return share, nonzero


def _ends_linear(task: Task) -> bool:
    last = task.networks["model"].placed()[-1]
    return isinstance(last.layer, Dense) and last.layer.activation is None and len(last.output_shape) == 1


def _bare(task: Task, network: Network) -> Task:
    """The network with plain gradient descent, of which one step shows the gradient, and no regulariser."""
    own = network is task.networks["model"]
    return msgspec.structs.replace(
        task,
        networks={"model": network},
        objective=task.objective if own else Classification(),
        optimizer=Sgd(1.0),
        batch_size=COPIES,
        penalty=Penalty(),
        weight_decay=0.0,
        schedule=ConstantRate(),
        clip_norm=0.0,
        augmentation=Augmentation(),
    )
