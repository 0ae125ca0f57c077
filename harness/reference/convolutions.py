"""Convolutions and pooling in plain NumPy; pictures are ``(n, height, width, channels)``."""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harness.reference.functions import Array, Backward, Gradients

_Zeros = tuple[tuple[int, int], tuple[int, int]]


def convolve(
    x: Array, w: Array, strides: tuple[int, int], zeros: _Zeros
) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """The product, and from its gradient those of ``x`` and of ``w (height, width, in, out)``."""
    height, width = w.shape[:2]
    padded = np.pad(x, ((0, 0), *zeros, (0, 0)))
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))  # (n, y, x, in, i, j)
    windows = windows[:, :: strides[0], :: strides[1]]
    rows, columns = windows.shape[1:3]
    patches = windows.reshape(-1, w.shape[2] * height * width)
    flat = w.transpose(2, 0, 1, 3).reshape(-1, w.shape[3])

    def backward(gradient: Array) -> tuple[Array, Array]:
        x_gradient = np.zeros_like(padded)
        for i in range(height):
            for j in range(width):
                down = slice(i, i + (rows - 1) * strides[0] + 1, strides[0])
                right = slice(j, j + (columns - 1) * strides[1] + 1, strides[1])
                x_gradient[:, down, right] += gradient @ w[i, j].T
        w_gradient = patches.T @ gradient.reshape(-1, w.shape[3])
        w_gradient = w_gradient.reshape(w.shape[2], height, width, w.shape[3]).transpose(1, 2, 0, 3)
        (top, _), (left, _) = zeros
        inner = x_gradient[:, top : top + x.shape[1], left : left + x.shape[2]]
        return inner, w_gradient

    return (patches @ flat).reshape(len(x), rows, columns, -1), backward


def convolve_sequence(
    x: Array, w: Array, stride: int, zeros: tuple[int, int]
) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """As :func:`convolve`, of ``x (n, steps, in)`` with ``w (size, in, out)``: a picture of one row."""
    y, picture_backward = convolve(x[:, None], w[None], (1, stride), ((0, 0), zeros))

    def backward(gradient: Array) -> tuple[Array, Array]:
        x_gradient, w_gradient = picture_backward(gradient[:, None])
        return x_gradient[:, 0], w_gradient[0]

    return y[:, 0], backward


def convolve_transposed(
    x: Array, w: Array, stride: int, crop: int
) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """``output[stride * i + k - crop] += x[i] @ w[k]`` along both axes; gradients as :func:`convolve`."""
    n, rows, columns, _ = x.shape
    height, width, _, filters = w.shape
    full = np.zeros((n, (rows - 1) * stride + height, (columns - 1) * stride + width, filters))
    inner = (slice(None), slice(crop, crop + rows * stride), slice(crop, crop + columns * stride))

    def places(i: int, j: int) -> tuple[slice, slice, slice]:
        down, right = (
            slice(i, i + (rows - 1) * stride + 1, stride),
            slice(j, j + (columns - 1) * stride + 1, stride),
        )
        return slice(None), down, right

    for i in range(height):
        for j in range(width):
            full[places(i, j)] += x @ w[i, j]

    def backward(gradient: Array) -> tuple[Array, Array]:
        spread = np.zeros_like(full)
        spread[inner] = gradient
        x_gradient, w_gradient = np.zeros_like(x), np.zeros_like(w)
        for i in range(height):
            for j in range(width):
                part = spread[places(i, j)]
                x_gradient += part @ w[i, j].T
                w_gradient[i, j] = np.tensordot(x, part, ((0, 1, 2), (0, 1, 2)))
        return x_gradient, w_gradient

    return full[inner], backward


def max_pool(x: Array, size: int) -> tuple[Array, Backward]:
    """The maximum of each window; the first of equal values gets the gradient."""
    windows, back = _windows(x, size)
    largest = windows.argmax(axis=-1)[..., None]

    def backward(gradient: Array, _: Gradients) -> Array:
        spread = np.zeros_like(windows)
        np.put_along_axis(spread, largest, gradient[..., None], axis=-1)
        return back(spread)

    return np.take_along_axis(windows, largest, axis=-1)[..., 0], backward


def average_pool(x: Array, size: int) -> tuple[Array, Backward]:
    """The mean of each window."""
    windows, back = _windows(x, size)

    def backward(gradient: Array, _: Gradients) -> Array:
        return back(np.broadcast_to(gradient[..., None] / size**2, windows.shape))

    return windows.mean(axis=-1), backward


def average_all(x: Array) -> tuple[Array, Backward]:
    """The mean over all axes but the first and the last."""
    axes = tuple(range(1, x.ndim - 1))
    count = x[0, ..., 0].size

    def backward(gradient: Array, _: Gradients) -> Array:
        return np.broadcast_to(np.expand_dims(gradient, axes) / count, x.shape)

    return x.mean(axis=axes), backward


def up_sample(x: Array, factor: int) -> tuple[Array, Backward]:
    """Each row and column repeated."""
    n, rows, columns, channels = x.shape

    def backward(gradient: Array, _: Gradients) -> Array:
        parts = gradient.reshape(n, rows, factor, columns, factor, channels)
        total: Array = parts.sum(axis=(2, 4))
        return total

    return x.repeat(factor, axis=1).repeat(factor, axis=2), backward


def _windows(x: Array, size: int) -> tuple[Array, Callable[[Array], Array]]:
    """The whole windows ``(n, rows, columns, channels, size²)``, and from their gradient that of ``x``."""
    n, height, width, channels = x.shape
    rows, columns = height // size, width // size
    whole = (slice(None), slice(rows * size), slice(columns * size))
    windows = x[whole].reshape(n, rows, size, columns, size, channels).transpose(0, 1, 3, 5, 2, 4)

    def back(gradient: Array) -> Array:
        spread = gradient.reshape(n, rows, columns, channels, size, size).transpose(0, 1, 4, 2, 5, 3)
        x_gradient = np.zeros_like(x)
        x_gradient[whole] = spread.reshape(n, rows * size, columns * size, channels)
        return x_gradient

    return windows.reshape(n, rows, columns, channels, size * size), back
