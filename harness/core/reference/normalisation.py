"""Normalisation layers in plain NumPy, with their backward passes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.core.reference.passes import Array, Backward, Gradients, Pass, add
from harness.layers import BatchNorm, GroupNorm, Layer, LayerNorm


def batch_norm(name: str, layer: BatchNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Normalise a batch; in training, leave the new running statistics in the pass."""
    mean_name, variance_name = f"{name}/running_mean", f"{name}/running_variance"
    mean, variance = made.weights[mean_name], made.weights[variance_name]
    if not made.training:
        deviation = np.sqrt(variance + layer.epsilon)
        return _scaled(name, (x - mean) / deviation, lambda gradient, _: gradient / deviation, made)
    made.state[mean_name], made.state[variance_name] = running_statistics(
        x, (mean, variance), layer.update_rate, unbiased=True
    )
    axes = tuple(range(x.ndim - 1))
    return _scaled(name, *normalised(x, axes, layer.epsilon), made)


def running_statistics(
    x: Array, before: tuple[Array, Array], update_rate: float, *, unbiased: bool
) -> tuple[Array, Array]:
    """Return the running mean and variance ``(channels,)`` after a training step on ``x``.

    With ``unbiased`` the batch's variance is divided by ``n - 1``.
    """
    axes = tuple(range(x.ndim - 1))
    now, spread = x.mean(axis=axes), x.var(axis=axes)
    count = x.size // x.shape[-1]
    spread = spread * (count / max(1, count - 1) if unbiased else 1.0)
    mean, variance = before
    return mean + update_rate * (now - mean), variance + update_rate * (spread - variance)


def layer_norm(name: str, layer: LayerNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Normalise over the last axis."""
    return _scaled(name, *normalised(x, (-1,), layer.epsilon), made)


def group_norm(name: str, layer: GroupNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Normalise each sample over all positions and the channels of a group."""
    grouped = x.reshape(*x.shape[:-1], layer.groups, -1)
    y, backward = normalised(grouped, (*range(1, x.ndim - 1), x.ndim), layer.epsilon)

    def ungrouped(gradient: Array, gradients: Gradients) -> Array:
        return backward(gradient.reshape(grouped.shape), gradients).reshape(x.shape)

    return _scaled(name, y.reshape(x.shape), ungrouped, made)


def normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Backward]:
    """Scale an array to mean 0 and variance 1 over these axes."""
    centred = x - x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + epsilon)
    y = centred * inverse

    def backward(gradient: Array, _: Gradients) -> Array:
        along = (gradient * y).mean(axis=axes, keepdims=True)
        result: Array = inverse * (gradient - gradient.mean(axis=axes, keepdims=True) - y * along)
        return result

    return y, backward


def _scaled(name: str, y: Array, inner: Backward, made: Pass) -> tuple[Array, Backward]:
    scale, bias = made.weights[f"{name}/scale"], made.weights[f"{name}/bias"]
    leading = tuple(range(y.ndim - 1))

    def backward(gradient: Array, gradients: Gradients) -> Array:
        add(gradients, f"{name}/scale", (gradient * y).sum(axis=leading))
        add(gradients, f"{name}/bias", gradient.sum(axis=leading))
        return inner(gradient * scale, gradients)

    return y * scale + bias, backward


NORMALISATIONS: dict[type[Layer], Callable[[str, Any, Array, Pass], tuple[Array, Backward]]] = {
    BatchNorm: batch_norm,
    LayerNorm: layer_norm,
    GroupNorm: group_norm,
}
