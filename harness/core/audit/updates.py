"""Whether the weights of a training move as their gradients say, without knowledge of the optimizer's state.

From one step to the next, Adam's and momentum's change of a weight is a known part of the change before plus
the new gradient, times a positive factor. So the sign of what is new must be that of the gradient. For Adam
the known part depends on how much the second moment has grown, for which the two gradients give bounds. A
step that makes no update, or applies another gradient, is found without the moments, whose form is the
backend's own.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from harness.spec.backend import Precision
from harness.spec.task import Adam, Optimizer, RmsProp, Sgd, Task

Weights = Mapping[str, np.ndarray]
#: The share of the gradient, by magnitude, whose sign must agree. That of honest steps was at least 0.998
#: in float32 (rnn at ten times its rate; else 0.9995) and 0.996 in bfloat16; that of a step without an update
#: is about 0.5, that of one with the gradient of half a batch up to 0.9.
LEAST_AGREEMENT = 0.95
_KNOWN = {Sgd, Adam, RmsProp}
#: The sign of a change is reliable if the change is so many times the rounding of the weight.
_ROUNDINGS = 8.0
#: Of the learning rate: even in a step that changes nothing, a weight should have moved by so much.
_USUAL_CHANGE = 0.01
#: The share of a gradient, by magnitude, that must be visible in the weights.
_LEAST_SEEN = 0.5


def agreements(
    task: Task,
    step: int,
    weights: Sequence[Weights],
    gradients: Sequence[Weights],
    precision: Precision,
    rates: Sequence[float] = (),
) -> list[float | None]:
    """The share of each gradient but the first that the weights followed.

    Weights that change by less than the rounding of their precision are left out. A gradient that mostly
    belongs to such weights has no share, but None, and so has any gradient where the optimizer's rule is not
    known here.

    ``weights`` are those before ``step`` (counted from 0) and after each step from there on; ``gradients``
    are of the same steps, one fewer than weights, by the parameters' names, and clipped where the task clips
    them. ``rates`` are the learning rates of these steps; without them that of the optimizer.
    """
    optimizer = task.optimizer
    if type(optimizer) not in _KNOWN:
        return [None] * (len(gradients) - 1)
    rates = rates or [optimizer.learning_rate] * len(gradients)
    rounding = _ROUNDINGS * float(np.finfo(np.float64 if precision == "float64" else np.float32).eps)
    # What each step subtracts, in units of its learning rate, so that steps of different rates compare.
    moved = []
    for rate, (before, after) in zip(rates, itertools.pairwise(weights), strict=True):
        kept = {name: 1 - rate * task.weight_decay * task.is_decayed(name) for name in gradients[0]}
        moved.append(
            {name: (kept[name] * _exact(before[name]) - _exact(after[name])) / rate for name in kept}
        )
    shares: list[float | None] = []
    for index in range(1, len(gradients)):
        agreeing = seen = whole = 0.0
        for name, gradient in gradients[index].items():
            before, now = moved[index - 1][name], moved[index][name]
            earlier = gradients[index - 1][name]
            expected = _expected(optimizer, earlier, gradient)
            sign = np.sign(expected)
            agrees = np.zeros(sign.shape, bool)
            for new in _new(optimizer, step + index + 1, (before, now), (earlier, gradient)):
                agrees |= np.sign(new) == sign
            change = rates[index] * _change(optimizer, expected, before, now)
            visible = change > rounding * np.abs(weights[index][name])
            size = np.abs(expected)
            agreeing += float(size[visible & agrees].sum())
            seen += float(size[visible].sum())
            whole += float(size.sum())
        shares.append(agreeing / seen if seen and seen >= _LEAST_SEEN * whole else None)
    return shares


def _exact(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def _change(optimizer: Optimizer, expected: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """About how far a right step changes each weight, in units of the learning rate.

    Adam and RMSprop divide the gradient by its usual size, which is not known here.
    """
    change: np.ndarray
    if isinstance(optimizer, Sgd):
        change = np.abs(expected)
    else:
        change = np.maximum(np.abs(before) + np.abs(now), _USUAL_CHANGE)
    return change


def _new(
    optimizer: Optimizer,
    t: int,
    changes: tuple[np.ndarray, np.ndarray],
    gradients: tuple[np.ndarray, np.ndarray],
) -> list[np.ndarray]:
    """What step ``t``, counted from 1, adds to the change that follows from the step before.

    Where that is not known exactly, the least and the largest that it can be. ``changes`` and ``gradients``
    are those of the step before and of this one.
    """
    before, now = changes
    match optimizer:
        case Sgd():
            return [now - optimizer.momentum * before]
        case Adam():
            beta = optimizer.beta_1
            return [
                (1 - beta**t) * now - beta * (1 - beta ** (t - 1)) * before / growth
                for growth in _growths(optimizer.beta_2, t, gradients)
            ]
        case RmsProp():
            return [now]


def _growths(beta: float, t: int, gradients: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Bounds of the growth of the root of Adam's corrected second moment in step ``t``.

    ``v = beta * v + (1 - beta) * g**2``, in which the old ``v`` is at least ``(1 - beta)`` times the squared
    gradient of the step before: so it grows by a factor between ``beta`` and ``beta + (g / before)**2``.
    """
    before, now = gradients
    corrected = (1 - beta ** (t - 1)) / (1 - beta**t)
    with np.errstate(over="ignore"):  # beyond all bounds
        ratio = np.divide(now, before, out=np.full(now.shape, np.inf), where=before != 0)
        largest = beta + np.square(ratio)
    return [np.sqrt(corrected * np.full(now.shape, beta)), np.sqrt(corrected * largest)]


def _expected(optimizer: Optimizer, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The gradient of which :func:`_new` has the sign."""
    if isinstance(optimizer, Sgd) and optimizer.nesterov:
        return (1 + optimizer.momentum) * now - optimizer.momentum * before
    return now
