"""Optimizers: one entry each, from which the reference, certificates and titles follow.

An optimizer and its state are described in :mod:`harness.spec.task`. The entry holds its formula in plain
NumPy, the parts of its update that cases of a certificate prove, and the usual faults of an implementation.
Without an entry, everything that needs one raises KeyError.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core.reference.mistakes import Rules
from harness.spec.task import Adam, Optimizer, RmsProp, Sgd

Array = npt.NDArray[np.float64]


class Part(NamedTuple):
    """A part of an update that some trainings have and others lack."""

    name: str
    cause: str
    """Where to look if only trainings with this part deviate."""
    applies: Callable[[Any], bool] = lambda _optimizer: True
    """``applies(optimizer)`` says whether an optimizer with these settings has the part."""
    replaces: str = ""
    """The name of a part that a training with this one does not prove, although it has that part, too."""


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


def _adam(adam: Adam, g: Array, slots: tuple[Array, ...], t: int, rate: float, _rules: Rules) -> Array:
    m, v = slots
    m[...] = adam.beta_1 * m + (1 - adam.beta_1) * g
    v[...] = adam.beta_2 * v + (1 - adam.beta_2) * g**2
    root = np.sqrt(v / (1 - adam.beta_2**t))
    return rate * (m / (1 - adam.beta_1**t)) / (root + adam.epsilon)


def _rmsprop(
    rmsprop: RmsProp, g: Array, slots: tuple[Array, ...], _t: int, rate: float, _rules: Rules
) -> Array:
    (v,) = slots
    v[...] = rmsprop.rho * v + (1 - rmsprop.rho) * g**2
    return rate * g / (np.sqrt(v) + rmsprop.epsilon)


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
    ),
    Adam: Entry(
        "Adam",
        _adam,
        (Part("adam", "Adam's update: the bias correction, and the position of epsilon (outside the root)"),),
        "position of epsilon, bias correction",
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
    ),
}
