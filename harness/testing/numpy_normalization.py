"""Normalisation in plain NumPy."""

import numpy as np

from harness.layers import BatchNorm, LayerNorm
from harness.testing.numpy_arrays import Array, Backward, Gradients, Pass, add


def batch_norm(name: str, layer: BatchNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The output; in training the new running statistics are left in the pass."""
    mean_name, variance_name = f"{name}/running_mean", f"{name}/running_variance"
    mean, variance = made.weights[mean_name], made.weights[variance_name]
    if not made.training:
        y = (x - mean) / np.sqrt(variance + layer.epsilon)
        return _scaled(name, y, lambda gradient, _: gradient, made)
    first = 1 if made.rules.batch_norm == "instance" else 0
    axes = tuple(range(first, x.ndim - 1))
    now, spread = x.mean(axis=axes), x.var(axis=axes)
    if first:
        now, spread = now.mean(axis=0), spread.mean(axis=0)
    count = x.size // x.shape[-1]
    spread = spread * (count / (count - 1) if made.rules.unbiased_running else 1.0)
    made.state[mean_name] = mean + layer.update_rate * (now - mean)
    made.state[variance_name] = variance + layer.update_rate * (spread - variance)
    return _scaled(name, *_normalised(x, axes, layer.epsilon), made)


def layer_norm(name: str, layer: LayerNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The output, normalised over the last axis."""
    axes = {"features": (-1,), "steps": (1,), "sample": tuple(range(1, x.ndim))}[made.rules.layer_norm]
    return _scaled(name, *_normalised(x, axes, layer.epsilon), made)


def _normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Backward]:
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
