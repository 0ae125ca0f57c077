"""The optimizers of ``optimizers`` for the PyTorch engine: PyTorch's own functions on Keras's variables.

PyTorch's Adam and RMSprop have epsilon in the contract's position, and update all variables at once.
"""

from collections.abc import Sequence
from typing import Any

import keras
from torch.optim import adam, rmsprop

Tensor = Any


def _values(variables: Sequence[Any]) -> list[Tensor]:
    return [variable.value for variable in variables]


class _OnTorch(keras.optimizers.Optimizer):
    """Step counts for PyTorch's functions, on the CPU so that no step waits for a GPU."""

    def __init__(self, learning_rate: float, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self._rate = learning_rate

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        with keras.device("cpu"):
            self._steps = [self.add_variable((), dtype="float32", name="steps") for _ in variables]


class Adam(_OnTorch, keras.optimizers.Adam):
    """Keras's Adam, but epsilon is added to the root of the corrected moment (Kingma and Ba, algorithm 1)."""

    def apply(self, grads: Sequence[Tensor], trainable_variables: Sequence[Any]) -> None:
        """Update all variables: those with which the optimizer was built, in their order."""
        self._apply_weight_decay(trainable_variables)
        adam.adam(
            _values(trainable_variables),
            list(grads),
            _values(self._momentums),
            _values(self._velocities),
            [],
            _values(self._steps),
            foreach=True,
            amsgrad=False,
            beta1=self.beta_1,
            beta2=self.beta_2,
            lr=self._rate,
            weight_decay=0.0,
            eps=self.epsilon,
            maximize=False,
        )


class RmsProp(_OnTorch, keras.optimizers.RMSprop):
    """Keras's RMSprop, but epsilon is added outside the root."""

    def apply(self, grads: Sequence[Tensor], trainable_variables: Sequence[Any]) -> None:
        """Update all variables: those with which the optimizer was built, in their order."""
        self._apply_weight_decay(trainable_variables)
        rmsprop.rmsprop(
            _values(trainable_variables),
            list(grads),
            _values(self._velocities),
            [],
            [],
            _values(self._steps),
            foreach=True,
            lr=self._rate,
            alpha=self.rho,
            eps=self.epsilon,
            weight_decay=0.0,
            momentum=0.0,
            centered=False,
        )
