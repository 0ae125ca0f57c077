"""Losses of a model and their gradients in each engine."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from harness.tracing.calls import Loss
from harness.tracing.side import OwnTraining

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


def own_loss(own: OwnTraining, loss: Loss) -> LossFunction:
    """Return the user's loss, averaged where it gives a number per sample, or else the named loss."""
    if own.make_loss is None:
        return LOSSES[loss]
    made = own.make_loss()
    return lambda targets, outputs: ops.mean(made(targets, outputs))


def _cross_entropy(targets: Tensor, outputs: Tensor) -> Tensor:
    """Compute the mean cross-entropy of logits ``(..., classes)`` and integers ``(...)``."""
    logarithms = ops.log_softmax(outputs, axis=-1)
    chosen = ops.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return -ops.mean(ops.sum(logarithms * chosen, axis=-1))


#: Losses of (targets, outputs), averaged over all targets.
LOSSES: dict[Loss, LossFunction] = {
    "cross-entropy": _cross_entropy,
    "mse": lambda targets, outputs: ops.mean(ops.square(outputs - ops.cast(targets, outputs.dtype))),
}


# Gradients, which each engine takes in its own way.


def gradients(
    loss: LossOf, variables: Sequence[keras.Variable], inputs: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
    """Compute the loss of these inputs, and its gradients with respect to variables and to inputs.

    Integer inputs have no gradient, nor has a variable on which the loss does not depend; that of another
    input is zero then.
    """
    types = [keras.backend.standardize_dtype(each.dtype) for each in inputs]
    floating = [place for place, each in enumerate(types) if keras.backend.is_float_dtype(each)]
    of_engine = _GRADIENTS[keras.config.backend()]
    value, of_variables, of_floating = of_engine(loss, variables, list(inputs), floating)
    by_place = {
        place: ops.zeros_like(inputs[place]) if made is None else made
        for place, made in zip(floating, of_floating, strict=True)
    }
    return value, list(of_variables), [by_place.get(place) for place in range(len(inputs))]


def _tensorflow(loss: Any, variables: Any, inputs: list[Any], floating: Sequence[int]) -> Any:
    import tensorflow as tf

    watched = [inputs[place] for place in floating]
    with tf.GradientTape() as tape:
        for tensor in watched:
            tape.watch(tensor)
        value = loss(inputs)
    made = tape.gradient(value, [variable.value for variable in variables] + watched)
    made = [None if each is None else tf.convert_to_tensor(each) for each in made]
    return value, made[: len(variables)], made[len(variables) :]


def _torch(loss: Any, variables: Any, inputs: list[Any], floating: Sequence[int]) -> Any:
    import torch

    for place in floating:
        inputs[place] = inputs[place].detach().requires_grad_()
    value = loss(inputs)
    wanted = [variable.value for variable in variables] + [inputs[place] for place in floating]
    made = torch.autograd.grad(value, wanted, allow_unused=True)
    return value.detach(), made[: len(variables)], made[len(variables) :]


def _jax(loss: Any, variables: Any, inputs: list[Any], floating: Sequence[int]) -> Any:
    import jax

    def of(values: Any, tensors: Any) -> Any:
        changed = dict(zip(floating, tensors, strict=True))
        given = [changed.get(place, each) for place, each in enumerate(inputs)]
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            value = loss(given)
        return value, [scope.get_current_value(variable) for variable in of_state]

    known = {id(variable) for variable in variables}
    # What the model changes by itself, such as running statistics.
    of_state = [variable for variable in loss.state if id(variable) not in known]
    values = [variable.value for variable in variables]
    differentiated = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)
    (value, changed), slopes = differentiated(values, [inputs[place] for place in floating])
    for variable, new in zip(of_state, changed, strict=True):
        if new is not None:
            variable.assign(new)
    return value, *slopes


_GRADIENTS = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
