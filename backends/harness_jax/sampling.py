"""Layers without parameters that change the size or the shape of their input."""

import functools
import math

import jax
from jax import numpy as jnp

from harness.layers import AveragePool2D, MaxPool2D, Reshape, UpSample2D
from harness_jax.calls import Call


def max_pool(call: Call[MaxPool2D], x: jax.Array) -> jax.Array:
    """The maxima of windows, by comparing slices.

    The gradient goes to the first of equal values, as the contract requires; ``max`` would divide it among
    them. XLA's reduce_window took twice as long on the CPU.
    """
    size = call.layer.pool_size
    windows = _windows(x, size)
    return functools.reduce(_larger, (windows[:, :, i, :, j] for i in range(size) for j in range(size)))


def average_pool(call: Call[AveragePool2D], x: jax.Array) -> jax.Array:
    """The means of windows."""
    return _windows(x, call.layer.pool_size).mean(axis=(2, 4))


def global_average_pool(_: Call, x: jax.Array) -> jax.Array:
    """The mean over all positions."""
    return x.mean(axis=tuple(range(1, x.ndim - 1)))


def up_sample(call: Call[UpSample2D], x: jax.Array) -> jax.Array:
    """Each value ``factor`` times in both directions, by a broadcast whose gradient is a sum."""
    samples, height, width, channels = x.shape
    factor = call.layer.factor
    spread = (samples, height, factor, width, factor, channels)
    repeated = jnp.broadcast_to(x[:, :, None, :, None], spread)
    return repeated.reshape(samples, height * factor, width * factor, channels)


def flatten(call: Call, x: jax.Array) -> jax.Array:
    """All axes but the batch into one."""
    return x.reshape(len(x), math.prod(call.shape))


def reshape(call: Call[Reshape], x: jax.Array) -> jax.Array:
    """The one axis into several."""
    return x.reshape(len(x), *call.layer.shape)


def _windows(x: jax.Array, size: int) -> jax.Array:
    """``(samples, rows, size, columns, size, channels)``, without incomplete windows."""
    samples, height, width, channels = x.shape
    rows, columns = height // size, width // size
    whole = x[:, : rows * size, : columns * size]
    return whole.reshape(samples, rows, size, columns, size, channels)


def _larger(first: jax.Array, later: jax.Array) -> jax.Array:
    return jnp.where((later > first) | jnp.isnan(later), later, first)
