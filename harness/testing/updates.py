"""Whether the weights of a training move as their gradients say, without knowledge of the optimizer's state.

From one step to the next, Adam's and momentum's change of a weight is a known part of the change before plus
the new gradient, times a positive factor: learning rate over root of the second moment, which hardly changes
within a step. So the sign of what is new must be that of the gradient. A step that makes no update, or
applies another gradient, is found without the moments, whose form is the backend's own.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from harness.spec.task import Adam, Optimizer, RmsProp, Sgd, Task

Weights = Mapping[str, np.ndarray]
#: The share of the gradient, by magnitude, whose sign must agree. That of honest steps was above 0.999 in
#: PyTorch, JAX and NumPy with each optimizer; that of a step without an update is about 0.5.
LEAST_AGREEMENT = 0.95
#: In earlier steps the bias correction of Adam's second moment changes quickly.
FIRST_STEP = 100


def agreements(
    task: Task, step: int, weights: Sequence[Weights], gradients: Sequence[Weights]
) -> list[float]:
    """The share of each gradient but the first that the weights followed.

    ``weights`` are those before ``step`` (counted from 0) and after each step from there on; ``gradients``
    are of the same steps, one fewer than weights.
    """
    optimizer = task.optimizer
    kept = 1 - optimizer.learning_rate * task.weight_decay
    moved = [
        {
            name: (kept if name.endswith("kernel") else 1) * _exact(before[name]) - _exact(after[name])
            for name in before
        }
        for before, after in itertools.pairwise(weights)
    ]
    shares = []
    for index in range(1, len(gradients)):
        agreeing = whole = 0.0
        for name, gradient in gradients[index].items():
            new = _new(optimizer, step + index + 1, moved[index - 1][name], moved[index][name])
            expected = _expected(optimizer, gradients[index - 1][name], gradient)
            size = np.abs(expected)
            agreeing += float(size[np.sign(new) == np.sign(expected)].sum())
            whole += float(size.sum())
        shares.append(agreeing / whole if whole else 1.0)
    return shares


def _exact(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def _new(optimizer: Optimizer, t: int, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """What step ``t``, counted from 1, adds to the change that follows from the step before."""
    match optimizer:
        case Sgd():
            return now - optimizer.momentum * before
        case Adam():
            beta = optimizer.beta_1
            new: np.ndarray = (1 - beta**t) * now - beta * (1 - beta ** (t - 1)) * before
            return new
        case RmsProp():
            return now


def _expected(optimizer: Optimizer, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The gradient of which :func:`_new` has the sign."""
    if isinstance(optimizer, Sgd) and optimizer.nesterov:
        return (1 + optimizer.momentum) * now - optimizer.momentum * before
    return now
