"""The loss of each kind of objective, and the penalty."""

import jax
from jax import numpy as jnp

from harness.spec import BinaryClassification, Classification, Objective, Regression, Task
from harness_jax.calls import Weights


def supervised_loss(
    objective: Objective, outputs: jax.Array, targets: jax.Array, class_weights: jax.Array
) -> jax.Array:
    """The mean loss of a batch ``()``; ``class_weights`` are ones where the objective has none."""
    match objective:
        case Regression():
            return jnp.square(outputs - targets).mean()
        case BinaryClassification():
            return _binary_cross_entropy(outputs, targets, class_weights)
        case Classification(label_smoothing=smoothing):
            return _cross_entropy(outputs, targets, class_weights, smoothing)
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


def _cross_entropy(
    logits: jax.Array, targets: jax.Array, class_weights: jax.Array, smoothing: float
) -> jax.Array:
    logs = jax.nn.log_softmax(logits)
    # By a mask: the gradient of indexing is a scatter, which XLA's CPU compiler runs element by element.
    chosen = targets[..., None] == jnp.arange(logits.shape[-1], dtype=targets.dtype)
    terms = jnp.where(chosen, logs, 0.0)
    if smoothing:
        terms = (1.0 - smoothing) * terms + smoothing / logits.shape[-1] * logs
        terms = terms * jnp.where(chosen, class_weights, 0.0).sum(axis=-1, keepdims=True)
    else:
        terms = terms * class_weights
    return -terms.sum(axis=-1).mean()


def _binary_cross_entropy(logits: jax.Array, targets: jax.Array, class_weights: jax.Array) -> jax.Array:
    (logits,) = jnp.unstack(logits, axis=1)  # (batch,)
    positive = targets == 1
    losses = jnp.where(positive, jax.nn.softplus(-logits), jax.nn.softplus(logits))
    return (losses * jnp.where(positive, class_weights[1], class_weights[0])).mean()
