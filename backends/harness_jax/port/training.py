"""Gradients and steps of training, of the pure form of a model."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from harness.tracing.side import Gradients, Loss, OwnTraining, Trained
from harness_jax.models.dropout import without_dropout
from harness_jax.models.float64 import optimized
from harness_jax.models.forms import Arrays, Model

LossOf = Callable[[Any, Any], Any]


class Rules(NamedTuple):
    """How a step is made: ``initial`` and ``update`` as in an optax transformation, and a loss."""

    initial: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], tuple[Any, Any]]
    loss: LossOf


def cross_entropy(outputs: Any, targets: Any) -> Any:
    """The mean cross-entropy of logits, with classes as integers along the last axis of the outputs."""
    logs = jax.nn.log_softmax(outputs, axis=-1)
    return -jnp.take_along_axis(logs, targets[..., None], axis=-1).mean()


def mean_squared_error(outputs: Any, targets: Any) -> Any:
    """The mean over all elements."""
    return jnp.square(outputs - targets).mean()


LOSSES: dict[Loss, LossOf] = {"cross-entropy": cross_entropy, "mse": mean_squared_error}


def rules(own: OwnTraining, loss: Loss, learning_rate: float) -> Rules:
    """The user's own optimizer and loss where there are any."""
    if own.make_optimizer is None:
        initial, update = _nothing, _descent(learning_rate)
    else:
        optimizer = own.make_optimizer()
        initial, update = optimizer.init, optimizer.update
    return Rules(initial, update, own_loss(own, loss))


def own_loss(own: OwnTraining, loss: Loss) -> LossOf:
    """The user's, as a number where it gives one for each sample; else the named one."""
    made = LOSSES[loss] if own.make_loss is None else own.make_loss()
    return lambda outputs, targets: jnp.mean(made(outputs, targets))


def _nothing(tree: Any) -> None:
    del tree


def _descent(learning_rate: float) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    def update(gradients: Any, state: Any, _: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda gradient: -learning_rate * gradient, gradients), state

    return update


def gradients(model: Model, inputs: Sequence[Any], targets: Any, loss: LossOf, name: str = "") -> Gradients:
    """Of the loss of an output, with respect to what is trained and to the inputs of numbers."""
    places = [place for place, each in enumerate(inputs) if jnp.issubdtype(each.dtype, jnp.floating)]

    def loss_of(trained: Arrays, floats: list[Any]) -> Any:
        given = list(inputs)
        for place, each in zip(places, floats, strict=True):
            given[place] = each
        evaluated = model.evaluate({**model.arrays, **trained}, given, training=True)
        output = _chosen(evaluated.outputs, name)
        return loss(output, targets), output

    with without_dropout(), optimized():
        differentiated = jax.value_and_grad(loss_of, argnums=(0, 1), has_aux=True)
        (value, output), (of_trained, of_inputs) = jax.jit(differentiated)(
            {name: model.arrays[name] for name in model.arrays if name in model.trained},
            [inputs[place] for place in places],
        )
        of_output = jax.grad(loss)(output, targets)
    return Gradients(
        loss=float(value),
        parameters={name: np.asarray(each) for name, each in of_trained.items()},
        inputs=[np.asarray(each) for each in of_inputs],
        output=np.asarray(output),
        of_output=np.asarray(of_output),
    )


def train(model: Model, batches: Sequence[tuple[list[Any], Any]], steps: Rules, name: str = "") -> Trained:
    """A step on each batch; the model's own arrays stay as they are."""

    def loss_of(tree: Any, state: Arrays, inputs: list[Any], targets: Any) -> Any:
        evaluated = model.evaluate({**state, **model.by_name(tree)}, inputs, training=True)
        return steps.loss(_chosen(evaluated.outputs, name), targets), evaluated.changed

    def one_step(tree: Any, memory: Any, state: Arrays, inputs: list[Any], targets: Any) -> Any:
        (loss, changed), slopes = jax.value_and_grad(loss_of, has_aux=True)(tree, state, inputs, targets)
        updates, memory = steps.update(slopes, memory, tree)
        tree = jax.tree.map(lambda each, by: each + by, tree, updates)
        return tree, memory, {**state, **changed}, loss

    tree = model.tree({name: array for name, array in model.arrays.items() if name in model.trained})
    state = {name: array for name, array in model.arrays.items() if name not in model.trained}
    memory, losses = steps.initial(tree), []
    step: Any = jax.jit(one_step)
    with without_dropout(), optimized():
        for inputs, targets in batches:
            tree, memory, state, loss = step(tree, memory, state, inputs, targets)
            losses.append(float(loss))
    after = {**model.arrays, **state, **model.by_name(tree)}
    return Trained(losses, {name: np.asarray(array) for name, array in after.items()})


def _chosen(outputs: Any, name: str) -> Any:
    leaves = jax.tree_util.tree_leaves_with_path(outputs)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    return named.get(name, leaves[0][1])
