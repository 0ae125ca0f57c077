"""Check that the weights of a training move as their gradients say, without the optimizer's state.

From one step to the next, Adam's and momentum's change of a weight is a known part of the change before plus
the new gradient, times a positive factor. So the sign of the new part must be that of the gradient. For Adam
the known part depends on the growth of the second moment, which the two gradients bound. A step that makes no
update, or applies another gradient, is found without the moments, whose form is the backend's own. The entry
of each optimizer gives its formula: :class:`harness.core.reference.optimizers.Signs`.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from harness.core.reference.optimizers import entry_of
from harness.spec.backend import Precision
from harness.spec.task import Task

Weights = Mapping[str, np.ndarray]
#: The share of the gradient, by magnitude, whose sign must agree. That of honest steps was at least 0.998
#: in float32 (rnn at ten times its rate; else 0.9995) and 0.996 in bfloat16; that of a step without an update
#: is about 0.5, that of one with the gradient of half a batch up to 0.9.
LEAST_AGREEMENT = 0.95
#: The sign of a change is reliable if the change is so many times the rounding of the weight.
_ROUNDINGS = 8.0
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
    """Return the share of each gradient but the first that the weights followed.

    Weights that change by less than the rounding of their precision are left out. The share is None for a
    gradient that mostly belongs to such weights, and for an optimizer whose updates do not show the sign of
    the gradient.

    ``weights`` are the weights before ``step`` (counted from 0) and after each step from there on.
    ``gradients`` belong to the same steps, one fewer than weights, by the parameters' names, and clipped
    where the task clips them. ``rates`` are the learning rates of these steps, by default the optimizer's
    rate.
    """
    optimizer = task.optimizer
    signs_of = entry_of(optimizer).signs
    if signs_of is None:
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
            changes = moved[index - 1][name], moved[index][name]
            signs = signs_of(optimizer, step + index + 1, changes, (gradients[index - 1][name], gradient))
            sign = np.sign(signs.gradient)
            agrees = np.zeros(sign.shape, bool)
            for new in signs.new:
                agrees |= np.sign(new) == sign
            visible = rates[index] * signs.size > rounding * np.abs(weights[index][name])
            size = np.abs(signs.gradient)
            agreeing += float(size[visible & agrees].sum())
            seen += float(size[visible].sum())
            whole += float(size.sum())
        shares.append(agreeing / seen if seen and seen >= _LEAST_SEEN * whole else None)
    return shares


def _exact(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)
