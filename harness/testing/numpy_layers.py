"""Layers in plain NumPy, each with its backward pass by hand; see :mod:`harness.testing.numpy_training`.

No code is shared with a backend. Dropout, recurrent layers and transposed convolutions are missing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harness.layers import ActivationName, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, Reshape

Array = np.ndarray[Any, np.dtype[Any]]
#: From the gradient of a layer's output to that of its input; adds those of its weights to a dictionary.
Backward = Callable[[Array, dict[str, Array]], Array]


def is_covered(layer: Layer) -> bool:
    """Whether this module has the layer."""
    if isinstance(layer, Conv2D):
        return layer.strides == 1 and layer.padding == "valid" and layer.activation in _ACTIVATIONS
    if isinstance(layer, Dense):
        return layer.activation in _ACTIVATIONS
    return isinstance(layer, (MaxPool2D, Flatten, Reshape)) or layer == Dropout(0.0)


def forward(name: str, layer: Layer, x: Array, weights: Mapping[str, Array]) -> tuple[Array, Backward]:
    """The output of a layer ``(n, *output)`` whose weights begin with ``name``, and its backward pass."""
    match layer:
        case Conv2D() | Dense():
            w, b = weights[f"{name}/kernel"], weights[f"{name}/bias"]
            product = _convolve if isinstance(layer, Conv2D) else _multiply
            return _weighted(name, layer.activation, product(x, w), b)
        case MaxPool2D():
            return _max_pool(x, layer.pool_size)
        case Flatten():
            shape = x.shape
            return x.reshape(len(x), -1), lambda gradient, _: gradient.reshape(shape)
        case Reshape():
            shape = x.shape
            return x.reshape(len(x), *layer.shape), lambda gradient, _: gradient.reshape(shape)
    return x, lambda gradient, _: gradient


def _weighted(
    name: str,
    activation: ActivationName | None,
    product: tuple[Array, Callable[[Array], tuple[Array, Array]]],
    b: Array,
) -> tuple[Array, Backward]:
    y, product_backward = product
    y, slope = _ACTIVATIONS[activation](y + b)

    def backward(gradient: Array, gradients: dict[str, Array]) -> Array:
        gradient = gradient * slope
        gradients[f"{name}/bias"] = gradient.sum(axis=tuple(range(gradient.ndim - 1)))
        x_gradient, gradients[f"{name}/kernel"] = product_backward(gradient)
        return x_gradient

    return y, backward


def _linear(y: Array) -> tuple[Array, Array]:
    return y, np.ones((), y.dtype)


def _relu(y: Array) -> tuple[Array, Array]:
    slope = (y > 0).astype(y.dtype)
    return y * slope, slope


def _tanh(y: Array) -> tuple[Array, Array]:
    y = np.tanh(y)
    return y, 1 - y * y


def _sigmoid(y: Array) -> tuple[Array, Array]:
    y = 0.5 * (1 + np.tanh(0.5 * y))
    return y, y * (1 - y)


_ACTIVATIONS: dict[ActivationName | None, Callable[[Array], tuple[Array, Array]]] = {
    None: _linear,
    "relu": _relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}


def _multiply(x: Array, w: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    leading = list(range(x.ndim - 1))
    return x @ w, lambda gradient: (gradient @ w.T, np.tensordot(x, gradient, (leading, leading)))


def _convolve(x: Array, w: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    height, width = w.shape[:2]
    windows = sliding_window_view(x, (height, width), axis=(1, 2))  # (n, y, x, in, i, j)

    def backward(gradient: Array) -> tuple[Array, Array]:
        x_gradient = np.zeros_like(x)
        rows, columns = gradient.shape[1:3]
        for i in range(height):
            for j in range(width):
                x_gradient[:, i : i + rows, j : j + columns] += gradient @ w[i, j].T
        w_gradient = np.tensordot(windows, gradient, ((0, 1, 2), (0, 1, 2)))  # (in, i, j, out)
        return x_gradient, w_gradient.transpose(1, 2, 0, 3)

    return np.tensordot(windows, w, ((3, 4, 5), (2, 0, 1))), backward


def _max_pool(x: Array, size: int) -> tuple[Array, Backward]:
    n, height, width, channels = x.shape
    rows, columns = height // size, width // size
    whole = (slice(None), slice(rows * size), slice(columns * size))
    windows = x[whole].reshape(n, rows, size, columns, size, channels).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(n, rows, columns, channels, size * size)
    largest = windows.argmax(axis=-1)[..., None]

    def backward(gradient: Array, _: dict[str, Array]) -> Array:
        spread = np.zeros_like(windows)
        np.put_along_axis(spread, largest, gradient[..., None], axis=-1)
        spread = spread.reshape(n, rows, columns, channels, size, size).transpose(0, 1, 4, 2, 5, 3)
        x_gradient = np.zeros_like(x)
        x_gradient[whole] = spread.reshape(n, rows * size, columns * size, channels)
        return x_gradient

    return np.take_along_axis(windows, largest, axis=-1)[..., 0], backward
