"""The loss of each kind of objective, and the penalty."""

from typing import NamedTuple

import jax
from jax import numpy as jnp

from harness.spec import BinaryClassification, Classification, Objective, Regression, Task
from harness_jax.calls import Weights


class LabelRules(NamedTuple):
    """How a class counts in the loss, as data, so that trainings that differ only in it share compiled code.

    ``class_weights (classes,)`` are ones and ``smoothing ()`` is zero where the objective has none.
    """

    class_weights: jax.Array
    smoothing: jax.Array


def label_rules(task: Task) -> tuple[tuple[float, ...], float]:
    """The weight of each class, ones where the objective has none, and the label smoothing."""
    match task.objective:
        case Classification(weights, smoothing):
            return weights or (1.0,) * task.networks["model"].output_shape()[-1], smoothing
        case BinaryClassification(weights):
            return weights or (1.0, 1.0), 0.0
        case _:
            return (), 0.0


def supervised_loss(
    objective: Objective, outputs: jax.Array, targets: jax.Array, rules: LabelRules
) -> jax.Array:
    """The mean loss of a batch ``()``."""
    match objective:
        case Regression():
            return jnp.square(outputs - targets).mean()
        case BinaryClassification():
            return _binary_cross_entropy(outputs, targets, rules)
        case Classification():
            return _cross_entropy(outputs, targets, rules)
        case _:
            raise ValueError(f"{objective} is no supervised objective")


def real_loss(logits: jax.Array) -> jax.Array:
    """Binary cross-entropy with the target 1."""
    return jax.nn.softplus(-logits).mean()


def fake_loss(logits: jax.Array) -> jax.Array:
    """Binary cross-entropy with the target 0."""
    return jax.nn.softplus(logits).mean()


def penalty(task: Task, parameters: Weights) -> jax.Array | float:
    """What the task's penalty adds to the loss of a network."""
    kernels = [w for name, w in parameters.items() if name.endswith("kernel")]
    total: jax.Array | float = 0.0
    if task.penalty.l1:
        total += task.penalty.l1 * sum(jnp.abs(w).sum() for w in kernels)
    if task.penalty.l2:
        total += task.penalty.l2 * sum(jnp.square(w).sum() for w in kernels)
    return total


def _cross_entropy(logits: jax.Array, targets: jax.Array, rules: LabelRules) -> jax.Array:
    logs = jax.nn.log_softmax(logits)
    # By a mask: the gradient of indexing is a scatter, which XLA's CPU compiler runs element by element.
    chosen = targets[..., None] == jnp.arange(logits.shape[-1], dtype=targets.dtype)
    weights = jnp.where(chosen, rules.class_weights, 0.0).sum(axis=-1, keepdims=True)
    at_class = jnp.where(chosen, (1.0 - rules.smoothing) * logs, 0.0)
    # Not multiplied by zero: an infinite logit of another class must not make the loss NaN.
    everywhere = jnp.where(rules.smoothing > 0.0, rules.smoothing / logits.shape[-1] * logs, 0.0)
    return -(weights * (at_class + everywhere)).sum(axis=-1).mean()


def _binary_cross_entropy(logits: jax.Array, targets: jax.Array, rules: LabelRules) -> jax.Array:
    logits, positive = logits.reshape(targets.shape), targets == 1
    losses = jnp.where(positive, jax.nn.softplus(-logits), jax.nn.softplus(logits))
    return (losses * jnp.where(positive, rules.class_weights[1], rules.class_weights[0])).mean()
