"""The update of a network's parameters: decay, then the optimizer's formula of harness.spec."""

import math

import jax
from jax import numpy as jnp

from harness.spec import Adam, Optimizer, RmsProp, Sgd, Task
from harness_jax.layers import Parameters

#: An optimizer's state of each parameter: up to two arrays of its shape.
Moments = dict[str, tuple[jax.Array, ...]]


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


def _change(
    optimizer: Optimizer, gradient: jax.Array, moments: tuple[jax.Array, ...], step: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """What to subtract from a parameter at ``step``, counted from 1, and its next moments."""
    match optimizer, moments:
        case Sgd(rate), ():
            return rate * gradient, ()
        case Sgd(rate, momentum, nesterov), (v,):
            v = momentum * v + gradient
            return rate * (gradient + momentum * v if nesterov else v), (v,)
        case Adam(rate, beta_1, beta_2, epsilon), (m, v):
            m = beta_1 * m + (1.0 - beta_1) * gradient
            v = beta_2 * v + (1.0 - beta_2) * jnp.square(gradient)
            root = jnp.sqrt(_corrected(v, beta_2, step))
            return rate * _corrected(m, beta_1, step) / (root + epsilon), (m, v)
        case RmsProp(rate, rho, epsilon), (v,):
            v = rho * v + (1.0 - rho) * jnp.square(gradient)
            return rate * gradient / (jnp.sqrt(v) + epsilon), (v,)
        case _:
            raise ValueError(f"{optimizer} with {len(moments)} moments")


def update(
    task: Task, parameters: Parameters, gradients: Parameters, moments: Moments, step: jax.Array
) -> tuple[dict[str, jax.Array], Moments]:
    """The parameters and moments after ``step``, counted from 1."""
    kept = 1.0 - task.optimizer.learning_rate * task.weight_decay
    updated, remembered = {}, {}
    for name, w in parameters.items():
        change, remembered[name] = _change(task.optimizer, gradients[name], moments[name], step)
        updated[name] = (kept * w if task.weight_decay and name.endswith("kernel") else w) - change
    return updated, remembered
