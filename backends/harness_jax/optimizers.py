"""The update of a network's parameters: clipping, decay, then the optimizer's formula of harness.spec."""

import math
from typing import NamedTuple

import jax
from jax import numpy as jnp

from harness.spec import Adam, Optimizer, RmsProp, Sgd, Task
from harness_jax.calls import Weights

#: An optimizer's state of each parameter: up to two arrays of its shape.
Moments = dict[str, tuple[jax.Array, ...]]


class Rates(NamedTuple):
    """What scales an update, as data, so that trainings that differ only in it share compiled code."""

    learning_rate: jax.Array
    weight_decay: jax.Array


def moment_count(optimizer: Optimizer) -> int:
    """How many moments an optimizer keeps of each parameter; plain gradient descent keeps none."""
    match optimizer:
        case Sgd():
            return 1 if optimizer.momentum else 0
        case Adam():
            return 2
        case RmsProp():
            return 1


def _corrected(moment: jax.Array, beta: float, step: jax.Array) -> jax.Array:
    """``moment / (1 - beta**step)``, with a divisor that is accurate for ``beta`` near 1."""
    log_beta = math.log(beta) if beta else -math.inf
    return moment / -jnp.expm1(step.astype(moment.dtype) * log_beta)


def _direction(
    optimizer: Optimizer, gradient: jax.Array, moments: tuple[jax.Array, ...], step: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """What to subtract from a parameter at ``step``, counted from 1, for a rate of 1; its next moments."""
    match optimizer, moments:
        case Sgd(), ():
            return gradient, ()
        case Sgd(_, momentum, nesterov), (v,):
            v = momentum * v + gradient
            return gradient + momentum * v if nesterov else v, (v,)
        case Adam(_, beta_1, beta_2, epsilon), (m, v):
            m = beta_1 * m + (1.0 - beta_1) * gradient
            v = beta_2 * v + (1.0 - beta_2) * jnp.square(gradient)
            root = jnp.sqrt(_corrected(v, beta_2, step))
            return _corrected(m, beta_1, step) / (root + epsilon), (m, v)
        case RmsProp(_, rho, epsilon), (v,):
            v = rho * v + (1.0 - rho) * jnp.square(gradient)
            return gradient / (jnp.sqrt(v) + epsilon), (v,)
        case _:
            raise ValueError(f"{optimizer} with {len(moments)} moments")


def _clipped(gradients: Weights, largest: float) -> Weights:
    """All gradients, scaled so that their norm together is at most ``largest``."""
    norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients.values()))
    factor = largest / jnp.maximum(norm, largest)
    return {name: factor * gradient for name, gradient in gradients.items()}


def update(
    task: Task, parameters: Weights, gradients: Weights, moments: Moments, step: jax.Array, rates: Rates
) -> tuple[dict[str, jax.Array], Moments]:
    """The parameters and moments after ``step``, counted from 1."""
    if task.clip_norm:
        gradients = _clipped(gradients, task.clip_norm)
    kept = 1.0 - rates.learning_rate * rates.weight_decay
    updated, remembered = {}, {}
    for name, w in parameters.items():
        direction, remembered[name] = _direction(task.optimizer, gradients[name], moments[name], step)
        # Without decay this multiplies by 1, which costs nothing within the loop over the values.
        decayed = kept * w if task.is_decayed(name) else w
        updated[name] = decayed - rates.learning_rate * direction
    return updated, remembered
