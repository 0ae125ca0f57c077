"""What differs between engines: gradients, and what watches a model's own code."""

import contextlib
import importlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from harness_keras.port.training import LossOf

Tensor = Any


def watching() -> contextlib.AbstractContextManager[None]:
    """Report the engine's own functions to the recorder, as far as the engine can."""
    return importlib.import_module(f"harness_keras.port.{keras.config.backend()}_calls").watching()


def numbers(tensor: Tensor) -> np.ndarray:
    """What a tensor or variable holds now, which nobody writes into later."""
    array = _in_memory_of_tensorflow(tensor) if keras.config.backend() == "tensorflow" else None
    if array is None:
        array = np.asarray(ops.convert_to_numpy(tensor))
        array = array if array.flags.owndata else np.array(array)
    return array


def _in_memory_of_tensorflow(tensor: Tensor) -> np.ndarray | None:
    """Without a copy: a variable gets new memory at its next change while there is a tensor of its value."""
    import tensorflow as tf

    held = tf.convert_to_tensor(tensor.value if isinstance(tensor, keras.Variable) else tensor)
    return np.asarray(memoryview(held)) if held.dtype == tf.float64 else None


def held(variable: keras.Variable) -> Tensor:
    """A copy of what a variable holds now, to be assigned to it later."""
    return np.array(numbers(variable))


def gradients(
    loss: LossOf, variables: Sequence[keras.Variable], inputs: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
    """The loss of these inputs, and its gradients with respect to variables and to inputs.

    Integer inputs have none, and a variable that the loss does not depend on has none.
    """
    return _GRADIENTS[keras.config.backend()](loss, variables, inputs)


def _tensorflow(loss: Any, variables: Any, inputs: Any) -> Any:
    import tensorflow as tf

    floating = [tensor for tensor in inputs if tensor.dtype.is_floating]
    with tf.GradientTape() as tape:
        for tensor in floating:
            tape.watch(tensor)
        value = loss(inputs)
    made = tape.gradient(value, [variable.value for variable in variables] + floating)
    made = [None if each is None else tf.convert_to_tensor(each) for each in made]
    left = iter(made[len(variables) :])
    return value, made[: len(variables)], [next(left) if t.dtype.is_floating else None for t in inputs]


def _torch(loss: Any, variables: Any, inputs: Any) -> Any:
    import torch

    values = [variable.value for variable in variables]
    inputs = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    floating = [x for x in inputs if x.is_floating_point()]
    value = loss(inputs)
    made = torch.autograd.grad(value, values + floating, allow_unused=True)
    left = iter(made[len(values) :])
    return (
        value.detach(),
        made[: len(values)],
        [next(left) if x.is_floating_point() else None for x in inputs],
    )


def _jax(loss: Any, variables: Any, inputs: Any) -> Any:
    import jax
    import jax.numpy as jnp

    places = [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)]

    def of(values: Any, floating: Any) -> Any:
        given = list(inputs)
        for place, x in zip(places, floating, strict=True):
            given[place] = x
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            value = loss(given)
        changed = [scope.get_current_value(variable) for variable in of_state]
        return value, changed

    of_state = _changing(loss, variables)
    values = [variable.value for variable in variables]
    floating = [inputs[place] for place in places]
    (value, changed), (of_values, of_inputs) = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(
        values, floating
    )
    for variable, new in zip(of_state, changed, strict=True):
        if new is not None:
            variable.assign(new)
    by_place = dict(zip(places, of_inputs, strict=True))
    return value, list(of_values), [by_place.get(i) for i in range(len(inputs))]


def _changing(loss: Any, variables: Any) -> list[keras.Variable]:
    """The variables that the model changes by itself, such as running statistics."""
    known = {id(variable) for variable in variables}
    return [variable for variable in loss.state if id(variable) not in known]


_GRADIENTS = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
