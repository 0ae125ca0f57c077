"""Parts shared by all layers in plain NumPy: types, gradients that add up, sequences of backward passes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Gradients = dict[str, Array]
#: Maps the gradient of a layer's output to that of its input; adds those of its weights to a dictionary.
Backward = Callable[[Array, Gradients], Array]


class Pass:
    """One pass through a network: its weights by full name, its mode, and the state that it leaves."""

    def __init__(self, weights: dict[str, Array], *, training: bool = False) -> None:
        self.weights, self.training = weights, training
        self.state: dict[str, Array] = {}


def add(gradients: Gradients, name: str, gradient: Array) -> None:
    """Add a gradient to the gradients of other uses of the same weights."""
    gradients[name] = gradients[name] + gradient if name in gradients else gradient


def backwards(passes: Sequence[Backward]) -> Backward:
    """Chain the backward passes of layers that were applied in this order."""

    def backward(gradient: Array, gradients: Gradients) -> Array:
        for each in reversed(passes):
            gradient = each(gradient, gradients)
        return gradient

    return backward
