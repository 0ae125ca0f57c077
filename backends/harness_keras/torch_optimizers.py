"""The optimizers of ``optimizers`` for the PyTorch engine: PyTorch's own functions on Keras's variables.

PyTorch's SGD, Adam and RMSprop are the contract's, and update all variables at once.
"""

from collections.abc import Sequence
from typing import Any

import keras
import torch
from torch.optim import adam, rmsprop, sgd

from harness import spec

Tensor = Any


def _values(variables: Sequence[Any]) -> list[Tensor]:
    return [variable.value for variable in variables]


class OnTorch(keras.optimizers.Optimizer):
    """Clipping and decay by few calls, and step counts on the CPU, so that no step waits for a GPU.

    ``rate`` is the learning rate as a number: Keras's variable would have to be read from the GPU.
    """

    def __init__(self, learning_rate: float, *arguments: Any, **options: Any) -> None:
        super().__init__(learning_rate, *arguments, **options)
        self.rate = learning_rate

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        self._decayed = [variable for variable in variables if self._use_weight_decay(variable)]
        with keras.device("cpu"):
            self._steps = [self.add_variable((), dtype="float32", name="steps") for _ in variables]

    def apply(self, grads: Sequence[Tensor], trainable_variables: Sequence[Any]) -> None:
        """Update all variables with which the optimizer was built, in their order."""
        gradients = list(grads)
        if self.global_clipnorm:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # noqa: SLF001
            torch._foreach_mul_(gradients, self.global_clipnorm / norm.clamp(min=self.global_clipnorm))
        if self.weight_decay and self._decayed:
            torch._foreach_mul_(_values(self._decayed), 1 - self.rate * self.weight_decay)
        self._step(_values(trainable_variables), gradients)

    def _step(self, values: list[Tensor], gradients: list[Tensor]) -> None:
        raise NotImplementedError


class Sgd(OnTorch, keras.optimizers.SGD):
    """Keras's SGD, but ``v = momentum * v + g; w = w - learning_rate * v``."""

    def _step(self, values: list[Tensor], gradients: list[Tensor]) -> None:
        sgd.sgd(
            values,
            gradients,
            _values(self.momentums) if self.momentum else [None] * len(values),
            foreach=True,
            weight_decay=0.0,
            momentum=self.momentum,
            lr=self.rate,
            dampening=0.0,
            nesterov=self.nesterov,
            maximize=False,
        )


class Adam(OnTorch, keras.optimizers.Adam):
    """Keras's Adam, but epsilon is added to the root of the corrected moment (Kingma and Ba, algorithm 1)."""

    def _step(self, values: list[Tensor], gradients: list[Tensor]) -> None:
        adam.adam(
            values,
            gradients,
            _values(self._momentums),
            _values(self._velocities),
            [],
            _values(self._steps),
            foreach=True,
            amsgrad=False,
            beta1=self.beta_1,
            beta2=self.beta_2,
            lr=self.rate,
            weight_decay=0.0,
            eps=self.epsilon,
            maximize=False,
        )


class RmsProp(OnTorch, keras.optimizers.RMSprop):
    """Keras's RMSprop, but epsilon is added outside the root."""

    def _step(self, values: list[Tensor], gradients: list[Tensor]) -> None:
        rmsprop.rmsprop(
            values,
            gradients,
            _values(self._velocities),
            [],
            [],
            _values(self._steps),
            foreach=True,
            lr=self.rate,
            alpha=self.rho,
            eps=self.epsilon,
            weight_decay=0.0,
            momentum=0.0,
            centered=False,
        )


#: In place of those of :mod:`harness_keras.optimizers`.
OPTIMIZERS: dict[type[spec.Optimizer], type[OnTorch]] = {
    spec.Sgd: Sgd,
    spec.Adam: Adam,
    spec.RmsProp: RmsProp,
}
