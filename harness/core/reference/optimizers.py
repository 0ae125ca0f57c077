"""Optimizers: one entry each, from which the reference, certificates and titles follow.

An optimizer and its state are described in :mod:`harness.spec.task`. The entry holds its formula in plain
NumPy, and the parts of its update that cases of a certificate prove. Without an entry, everything that needs
one raises KeyError.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.spec.task import Adam, Optimizer, RmsProp, Sgd

Array = npt.NDArray[np.float64]


class Part(NamedTuple):
    """A part of an update that some trainings have and others lack."""

    name: str
    applies: Callable[[Any], bool] = lambda _optimizer: True
    """``applies(optimizer)`` says whether an optimizer with these settings has the part."""
    replaces: str = ""
    """The name of a part that a training with this one does not prove, although it has that part, too."""


class Entry(NamedTuple):
    """What the harness knows of an optimizer besides its description."""

    title: str
    """Its usual spelling."""
    subtracted: Callable[[Any, Array, tuple[Array, ...], int, float], Array]
    """``subtracted(optimizer, g, slots, t, rate)`` returns what step ``t``, counted from 1, subtracts
    from a weight, and updates its slots in place."""
    parts: tuple[Part, ...]


def entry_of(optimizer: Optimizer) -> Entry:
    """Return the entry of an optimizer."""
    return OPTIMIZERS[type(optimizer)]


def titles() -> dict[str, str]:
    """Return the usual spelling of each optimizer by its tag."""
    return {str(kind.__struct_config__.tag): entry.title for kind, entry in OPTIMIZERS.items()}


def _sgd(sgd: Sgd, g: Array, slots: tuple[Array, ...], _t: int, rate: float) -> Array:
    if not sgd.momentum:
        return rate * g
    (v,) = slots
    v[...] = sgd.momentum * v + g
    return rate * (g + sgd.momentum * v if sgd.nesterov else v)


def _adam(adam: Adam, g: Array, slots: tuple[Array, ...], t: int, rate: float) -> Array:
    m, v = slots
    m[...] = adam.beta_1 * m + (1 - adam.beta_1) * g
    v[...] = adam.beta_2 * v + (1 - adam.beta_2) * g**2
    root = np.sqrt(v / (1 - adam.beta_2**t))
    return rate * (m / (1 - adam.beta_1**t)) / (root + adam.epsilon)


def _rmsprop(rmsprop: RmsProp, g: Array, slots: tuple[Array, ...], _t: int, rate: float) -> Array:
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
                lambda sgd: sgd.momentum > 0,
            ),
            Part(
                "nesterov",
                lambda sgd: sgd.nesterov,
                replaces="momentum",
            ),
        ),
    ),
    Adam: Entry(
        "Adam",
        _adam,
        (Part("adam"),),
    ),
    RmsProp: Entry(
        "RMSprop",
        _rmsprop,
        (Part("rmsprop"),),
    ),
}
