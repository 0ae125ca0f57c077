"""Optimizers: one entry each, from which the reference, certificates, audits and titles follow.

An optimizer and its state are described in :mod:`harness.spec.task`. The entry holds its formula in plain
NumPy, and all that a training shows of it: the parts of its update that cases of a certificate prove, the
usual faults of an implementation, and the signs of its updates, by which audits check them. Without an entry,
everything that needs one raises KeyError.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core.reference.mistakes import Rules
from harness.spec.task import Adam, Optimizer, RmsProp, Sgd

Array = npt.NDArray[np.float64]
#: A value of the step before, and of a step.
Two = tuple[Array, Array]
#: In units of the learning rate: even in a step that changes nothing, a weight should have moved by this.
_USUAL_CHANGE = 0.01


class Part(NamedTuple):
    """A part of an update that some trainings have and others lack."""

    name: str
    cause: str
    """Where to look if only trainings with this part deviate."""
    applies: Callable[[Any], bool] = lambda _optimizer: True
    """``applies(optimizer)`` says whether an optimizer with these settings has the part."""
    replaces: str = ""
    """The name of a part that a training with this one does not prove, although it has that part, too."""


class Signs(NamedTuple):
    """What successive changes of the weights show of an update, without the optimizer's state."""

    gradient: Array
    """The combination of gradients whose sign the new part of the change has."""
    new: list[Array]
    """The new part of the change; where it is not known exactly, its least and its largest value."""
    size: Array
    """About how far a right step changes each weight, in units of the learning rate."""


class Entry(NamedTuple):
    """What the harness knows of an optimizer besides its description."""

    title: str
    """Its usual spelling."""
    subtracted: Callable[[Any, Array, tuple[Array, ...], int, float, Rules], Array]
    """``subtracted(optimizer, g, slots, t, rate, rules)`` returns what step ``t``, counted from 1, subtracts
    from a weight, and updates its slots in place."""
    parts: tuple[Part, ...]
    suspects: str
    """What may be wrong in its update, where it has state."""
    signs: Callable[[Any, int, Two, Two], Signs] | None
    """``signs(optimizer, t, changes, gradients)``, both those of the step before and of step ``t``; None: its
    updates do not show the sign of the gradient."""


def entry_of(optimizer: Optimizer) -> Entry:
    """Return the entry of an optimizer."""
    return OPTIMIZERS[type(optimizer)]


def titles() -> dict[str, str]:
    """Return the usual spelling of each optimizer by its tag."""
    return {str(kind.__struct_config__.tag): entry.title for kind, entry in OPTIMIZERS.items()}


def _sgd(sgd: Sgd, g: Array, slots: tuple[Array, ...], _t: int, rate: float, rules: Rules) -> Array:
    if not sgd.momentum:
        return rate * g
    (v,) = slots
    if rules.momentum == "steps":
        v[...] = sgd.momentum * v + rate * g
        return rate * g + sgd.momentum * v if sgd.nesterov else v.copy()
    v[...] = sgd.momentum * v + g
    return rate * (g + sgd.momentum * v if sgd.nesterov else v)


def _signs_of_sgd(sgd: Sgd, _t: int, changes: Two, gradients: Two) -> Signs:
    before, now = gradients
    expected = (1 + sgd.momentum) * now - sgd.momentum * before if sgd.nesterov else now
    return Signs(expected, [changes[1] - sgd.momentum * changes[0]], np.abs(expected))


def _adam(adam: Adam, g: Array, slots: tuple[Array, ...], t: int, rate: float, _rules: Rules) -> Array:
    m, v = slots
    m[...] = adam.beta_1 * m + (1 - adam.beta_1) * g
    v[...] = adam.beta_2 * v + (1 - adam.beta_2) * g**2
    root = np.sqrt(v / (1 - adam.beta_2**t))
    return rate * (m / (1 - adam.beta_1**t)) / (root + adam.epsilon)


def _signs_of_adam(adam: Adam, t: int, changes: Two, gradients: Two) -> Signs:
    (before, now), beta = changes, adam.beta_1
    new = [
        (1 - beta**t) * now - beta * (1 - beta ** (t - 1)) * before / growth
        for growth in _growths(adam.beta_2, t, gradients)
    ]
    return Signs(gradients[1], new, _normalised_size(changes))


def _growths(beta: float, t: int, gradients: Two) -> list[Array]:
    """Return bounds of the growth of the root of Adam's corrected second moment in step ``t``.

    ``v = beta * v + (1 - beta) * g**2``, in which the old ``v`` is at least ``(1 - beta)`` times the squared
    gradient of the step before: so ``v`` grows by a factor between ``beta`` and ``beta + (g / before)**2``.
    """
    before, now = gradients
    corrected = (1 - beta ** (t - 1)) / (1 - beta**t)
    with np.errstate(over="ignore"):  # beyond all bounds
        ratio = np.divide(now, before, out=np.full(now.shape, np.inf), where=before != 0)
        largest = beta + np.square(ratio)
    return [np.sqrt(corrected * np.full(now.shape, beta)), np.sqrt(corrected * largest)]


def _normalised_size(changes: Two) -> Array:
    """Estimate the size of a step of an optimizer that divides gradients by their usual, unknown size."""
    size: Array = np.maximum(np.abs(changes[0]) + np.abs(changes[1]), _USUAL_CHANGE)
    return size


def _rmsprop(
    rmsprop: RmsProp, g: Array, slots: tuple[Array, ...], _t: int, rate: float, _rules: Rules
) -> Array:
    (v,) = slots
    v[...] = rmsprop.rho * v + (1 - rmsprop.rho) * g**2
    return rate * g / (np.sqrt(v) + rmsprop.epsilon)


def _signs_of_rmsprop(_rmsprop: RmsProp, _t: int, changes: Two, gradients: Two) -> Signs:
    return Signs(gradients[1], [changes[1]], _normalised_size(changes))


OPTIMIZERS: dict[type[Optimizer], Entry] = {
    Sgd: Entry(
        "SGD",
        _sgd,
        (
            Part(
                "momentum",
                "the form of the momentum: v = momentum * v + g, w -= learning_rate * v",
                lambda sgd: sgd.momentum > 0,
            ),
            Part(
                "nesterov",
                "Nesterov's form of the momentum: w -= learning_rate * (g + momentum * v)",
                lambda sgd: sgd.nesterov,
                replaces="momentum",
            ),
        ),
        "form of the momentum",
        _signs_of_sgd,
    ),
    Adam: Entry(
        "Adam",
        _adam,
        (Part("adam", "Adam's update: the bias correction, and the position of epsilon (outside the root)"),),
        "position of epsilon, bias correction",
        _signs_of_adam,
    ),
    RmsProp: Entry(
        "RMSprop",
        _rmsprop,
        (
            Part(
                "rmsprop",
                "RMSprop's update: the decay of the mean square, and the position of epsilon (outside the "
                "root)",
            ),
        ),
        "position of epsilon, decay of the mean square",
        _signs_of_rmsprop,
    ),
}
