"""Losses of a model: the ones of a comparison, and the user's own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from harness.tracing.side import Loss, OwnTraining

Tensor = Any
LossFunction = Callable[[Tensor, Tensor], Tensor]


class LossOf(NamedTuple):
    """The loss of a model's inputs; ``state`` are the variables that evaluating it may change."""

    outputs_of: Callable[[Sequence[Tensor]], Tensor]
    function: LossFunction
    targets: np.ndarray
    state: list[keras.Variable]
    further: Callable[[], Tensor] | None = None

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        value = self.function(ops.convert_to_tensor(self.targets), self.outputs_of(inputs))
        return value if self.further is None else value + self.further()


def loss_function(loss: Loss) -> LossFunction:
    """A loss of (targets, outputs), averaged over all targets."""
    return _cross_entropy if loss == "cross-entropy" else _mean_squared_error


def own_loss(own: OwnTraining, loss: Loss) -> LossFunction:
    """The user's, as a number where it gives one for each sample; else the named one."""
    if own.make_loss is None:
        return loss_function(loss)
    made = own.make_loss()
    return lambda targets, outputs: ops.mean(made(targets, outputs))


def _cross_entropy(targets: Tensor, outputs: Tensor) -> Tensor:
    """Of logits ``(..., classes)`` and integers ``(...)``."""
    logarithms = ops.log_softmax(outputs, axis=-1)
    chosen = ops.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return -ops.mean(ops.sum(logarithms * chosen, axis=-1))


def _mean_squared_error(targets: Tensor, outputs: Tensor) -> Tensor:
    return ops.mean(ops.square(outputs - ops.cast(targets, outputs.dtype)))
