"""The optimizers as the contract defines them, where Keras's own differ.

Keras places epsilon elsewhere in Adam and RMSprop, and multiplies the momentum of SGD by the rate before it
adds it up, which differs once the rate changes.

Written in Keras's operations, for the engines that compile the step. PyTorch would make a separate call for
each operation on each variable; ``torch_optimizers`` updates all variables at once.
"""

import math
from typing import Any

import keras
from keras import ops

from harness import spec

Tensor = Any


class Sgd(keras.optimizers.SGD):
    """Keras's SGD, but ``v = momentum * v + g; w = w - learning_rate * v``."""

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        """Update one variable, with Nesterov's momentum where asked for."""
        if self.momentum:
            v = self.momentums[self._get_variable_index(variable)]
            self.assign(v, v * self.momentum + gradient)
            gradient = v * self.momentum + gradient if self.nesterov else v
        self.assign_sub(variable, learning_rate * gradient)


class Adam(keras.optimizers.Adam):
    """Keras's Adam, but epsilon is added to the root of the corrected moment (Kingma and Ba, algorithm 1)."""

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        """Update one variable by algorithm 1."""
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, variable.dtype)
        correction_1, correction_2 = _correction(self.beta_1, step), _correction(self.beta_2, step)
        self.assign_add(m, ops.subtract(gradient, m) * (1 - self.beta_1))
        self.assign_add(v, ops.subtract(ops.square(gradient), v) * (1 - self.beta_2))
        root = ops.sqrt(v / correction_2)
        self.assign_sub(variable, learning_rate * (m / correction_1) / (root + self.epsilon))


def _correction(beta: float, step: Tensor) -> Tensor:
    """Compute ``1 - beta**step``, accurate in float32 for ``beta`` near 1."""
    return -ops.expm1(step * math.log(beta)) if beta else ops.ones_like(step)


class RmsProp(keras.optimizers.RMSprop):
    """Keras's RMSprop, but epsilon is added outside the root."""

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        """Update one variable by Hinton's rule."""
        v = self._velocities[self._get_variable_index(variable)]
        self.assign_add(v, ops.subtract(ops.square(gradient), v) * (1 - self.rho))
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(v) + self.epsilon))


#: By the contract's descriptions, whose fields are the arguments.
OPTIMIZERS: dict[type[spec.Optimizer], type[keras.optimizers.Optimizer]] = {
    spec.Sgd: Sgd,
    spec.Adam: Adam,
    spec.RmsProp: RmsProp,
}
