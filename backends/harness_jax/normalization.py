"""Normalisation over the batch or over the features, with gradients written out.

Autodiff goes through the mean and the variance one after the other and reads the input five times; the
formula of Ioffe and Szegedy (2015, section 3) needs two sums. On the CPU a training step of BatchNorm takes
half as long by it. Both layers compute in at least float32, whatever the precision of their input.
"""

import functools

import jax
from jax import lax
from jax import numpy as jnp

from harness.layers import BatchNorm, GroupNorm, Layer, LayerNorm
from harness_jax.layers import Apply, Call

_Saved = tuple[jax.Array, jax.Array, jax.Array]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def normalized(x: jax.Array, axes: tuple[int, ...], epsilon: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return ``(x - mean) / sqrt(variance + epsilon)`` over ``axes``, the mean and the biased variance.

    No gradient flows through the mean and the variance, which have the shape of ``x`` with 1 for each of the
    axes.
    """
    return _normalized(x, axes, epsilon)[0]


def _normalized(
    x: jax.Array, axes: tuple[int, ...], epsilon: float
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], _Saved]:
    mean = x.mean(axes, keepdims=True)
    variance = jnp.square(x - mean).mean(axes, keepdims=True)
    factor = lax.rsqrt(variance + epsilon)
    return ((x - mean) * factor, mean, variance), (x, mean, factor)


def _normalized_backward(
    axes: tuple[int, ...], _: float, saved: _Saved, gradients: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array]:
    x, mean, factor = saved
    gradient = gradients[0]
    y = (x - mean) * factor
    means = gradient.mean(axes, keepdims=True), (gradient * y).mean(axes, keepdims=True)
    return (factor * (gradient - means[0] - y * means[1]),)


normalized.defvjp(_normalized, _normalized_backward)


def _batch_norm(call: Call[BatchNorm], x: jax.Array) -> jax.Array:
    """Normalise by the statistics of the batch in a training step, else by the running statistics."""
    dtype, x = x.dtype, _at_least_float32(x)
    weights, layer = call.weights, call.layer
    if call.training:
        y, mean, variance = normalized(x, tuple(range(x.ndim - 1)), layer.epsilon)
        count = x.size // x.shape[-1]
        latest = {
            "running_mean": mean.reshape(-1),
            "running_variance": variance.reshape(-1) * (count / (count - 1)),
        }
        for name, value in latest.items():
            call.state[name] = weights[name] + layer.update_rate * (value - weights[name])
    else:
        y = (x - weights["running_mean"]) * lax.rsqrt(weights["running_variance"] + layer.epsilon)
    return (y * weights["scale"] + weights["bias"]).astype(dtype)


def _layer_norm(call: Call[LayerNorm], x: jax.Array) -> jax.Array:
    y, _, _ = normalized(_at_least_float32(x), (x.ndim - 1,), call.layer.epsilon)
    return (y * call.weights["scale"] + call.weights["bias"]).astype(x.dtype)


def _group_norm(call: Call[GroupNorm], x: jax.Array) -> jax.Array:
    grouped = _at_least_float32(x).reshape(*x.shape[:-1], call.layer.groups, -1)
    y, _, _ = normalized(grouped, (*range(1, x.ndim - 1), x.ndim), call.layer.epsilon)
    return (y.reshape(x.shape) * call.weights["scale"] + call.weights["bias"]).astype(x.dtype)


def _at_least_float32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


#: The kinds of this module. Their parameters remain float32 where the network computes in bfloat16.
KINDS: dict[type[Layer], Apply] = {
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    GroupNorm: _group_norm,
}
