"""Convolutions and pooling in plain NumPy, over any number of spatial axes.

Arrays are ``(n, *positions, channels)``, kernels ``(*sizes, in / groups, out)``.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from harness.core.reference.passes import Array, Backward, Gradients

#: The zeros that are added before and after each spatial axis.
Zeros = Sequence[tuple[int, int]]
#: Maps the gradient of a product to those of the input and of the kernel.
ProductBackward = Callable[[Array], tuple[Array, Array]]


def padded(x: Array, zeros: Zeros, value: float = 0.0) -> Array:
    """Add a border of ``zeros`` to the spatial axes; a negative border cuts off."""
    border = [(0, 0), *((max(0, low), max(0, high)) for low, high in zeros), (0, 0)]
    x = np.pad(x, border, constant_values=value)
    cut = [slice(max(0, -low), x.shape[axis] - max(0, -high)) for axis, (low, high) in enumerate(zeros, 1)]
    return x[(slice(None), *cut)]


def _windows(x: Array, sizes: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Array:
    """Return windows ``(n, *windows, channels, *sizes)``, as a view."""
    reach = tuple((s - 1) * d + 1 for s, d in zip(sizes, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(1, x.ndim - 1)))
    place: list[slice] = [slice(None), *(slice(None, None, s) for s in strides), slice(None)]
    return view[(*place, *(slice(None, None, d) for d in dilation))]


def _taps(
    sizes: Sequence[int], positions: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Yield each element of a kernel, and the positions of an array that it meets."""
    for tap in itertools.product(*map(range, sizes)):
        where = zip(tap, positions, strides, dilation, strict=True)
        places = (slice(t * d, t * d + (count - 1) * s + 1, s) for t, count, s, d in where)
        yield tap, (slice(None), *places)


def _uncut(gradient: Array, zeros: Zeros, shape: tuple[int, ...]) -> Array:
    """Return the gradient of an array of ``shape`` from the gradient of the same array with a border."""
    return gradient[tuple(slice(low, low + n) for (low, _), n in zip([(0, 0), *zeros], shape, strict=False))]


def convolve(
    x: Array,
    w: Array,
    strides: Sequence[int],
    zeros: Zeros,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
) -> tuple[Array, ProductBackward]:
    """Return the cross-correlation and its backward pass, which covers one group."""
    sizes = w.shape[:-2]
    spatial = len(sizes)
    dilation = dilation or (1,) * spatial
    bordered = padded(x, zeros)
    windows = _windows(bordered, sizes, strides, dilation)  # (n, *positions, in, *sizes)
    positions = windows.shape[1 : 1 + spatial]
    outputs, patches = [], []
    for part, kernel in zip(
        np.split(windows, groups, axis=1 + spatial), np.split(w, groups, axis=-1), strict=True
    ):
        flat = kernel.transpose(spatial, *range(spatial), spatial + 1).reshape(-1, kernel.shape[-1])
        patches.append(part.reshape(-1, len(flat)))
        outputs.append((patches[-1] @ flat).reshape(len(x), *positions, -1))

    def backward(gradient: Array) -> tuple[Array, Array]:
        (rows,) = patches
        x_gradient = np.zeros_like(bordered)
        for tap, places in _taps(sizes, positions, strides, dilation):
            x_gradient[places] += gradient @ w[tap].T
        w_gradient = (rows.T @ gradient.reshape(-1, w.shape[-1])).reshape(w.shape[-2], *sizes, w.shape[-1])
        return _uncut(x_gradient, zeros, x.shape), np.moveaxis(w_gradient, 0, -2)

    return np.concatenate(outputs, axis=-1) if groups > 1 else outputs[0], backward


def convolve_transposed(
    x: Array,
    w: Array,
    strides: Sequence[int],
    crop: Zeros,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
) -> tuple[Array, ProductBackward]:
    """Compute ``output[stride * i + dilation * k - low] += x[i] @ w[k]`` along each axis.

    ``crop`` is cut off before and after each axis; a negative end adds zeros. The kernel is ``(*sizes, in,
    out / groups)``. The backward pass covers one group.
    """
    sizes, positions = w.shape[:-2], x.shape[1:-1]
    dilation = dilation or (1,) * len(sizes)
    whole = [
        (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(positions, strides, sizes, dilation, strict=True)
    ]
    room = [max(length, length - high) for length, (_, high) in zip(whole, crop, strict=True)]
    inner = (slice(None), *(slice(low, n - high) for n, (low, high) in zip(whole, crop, strict=True)))
    taps = list(_taps(sizes, positions, strides, dilation))
    outputs = []
    for part, kernel in zip(np.split(x, groups, axis=-1), np.split(w, groups, axis=-2), strict=True):
        output = np.zeros((len(x), *room, kernel.shape[-1]))
        for tap, places in taps:
            output[places] += part @ kernel[tap]
        outputs.append(output)

    def backward(gradient: Array) -> tuple[Array, Array]:
        (output,) = outputs
        spread = np.zeros_like(output)
        spread[inner] = gradient
        x_gradient, w_gradient = np.zeros_like(x), np.zeros_like(w)
        over = tuple(range(x.ndim - 1))
        for tap, places in taps:
            x_gradient += spread[places] @ w[tap].T
            w_gradient[tap] = np.tensordot(x, spread[places], (over, over))
        return x_gradient, w_gradient

    return np.concatenate(outputs, axis=-1)[inner] if groups > 1 else outputs[0][inner], backward


def pool(
    x: Array,
    function: Literal["max", "mean"],
    sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    zeros: Zeros | None = None,
    dilation: Sequence[int] | None = None,
    *,
    counts_padding: bool = False,
) -> tuple[Array, Backward]:
    """Return the maximum or mean of each whole window; the first of equal values gets the gradient.

    Windows lie side by side unless there are ``strides``. The mean counts a border as zeros if
    ``counts_padding``, else only the values inside.
    """
    strides, dilation = strides or sizes, dilation or (1,) * len(sizes)
    zeros = zeros or ((0, 0),) * len(sizes)
    bordered = padded(x, zeros, -math.inf if function == "max" else 0.0)
    windows = _windows(bordered, sizes, strides, dilation)
    positions = windows.shape[1 : 1 + len(sizes)]
    windows = windows.reshape(*windows.shape[: x.ndim], -1)  # (n, *positions, channels, size)
    if function == "max":
        largest = windows.argmax(axis=-1)[..., None]
        y = np.take_along_axis(windows, largest, axis=-1)[..., 0]
    else:
        ones = padded(np.ones_like(x[:1, ..., :1]), zeros, 1.0 if counts_padding else 0.0)
        counted = _windows(ones, sizes, strides, dilation)
        count = counted.reshape(*counted.shape[: x.ndim], -1).sum(axis=-1)
        y = windows.sum(axis=-1) / count

    def backward(gradient: Array, _: Gradients) -> Array:
        if function == "max":
            spread = np.zeros_like(windows)
            np.put_along_axis(spread, largest, gradient[..., None], axis=-1)
        else:
            spread = np.broadcast_to((gradient / count)[..., None], windows.shape)
        x_gradient = np.zeros_like(bordered)
        for number, (_tap, places) in enumerate(_taps(sizes, positions, strides, dilation)):
            x_gradient[places] += spread[..., number]
        return _uncut(x_gradient, zeros, x.shape)

    return y, backward


def average_all(x: Array) -> tuple[Array, Backward]:
    """Return the mean over all axes but the first and the last."""
    axes = tuple(range(1, x.ndim - 1))
    count = x[0, ..., 0].size

    def backward(gradient: Array, _: Gradients) -> Array:
        return np.broadcast_to(np.expand_dims(gradient, axes) / count, x.shape)

    return x.mean(axis=axes), backward


def up_sample(x: Array, factor: int) -> tuple[Array, Backward]:
    """Repeat each row and column of pictures."""
    n, rows, columns, channels = x.shape

    def backward(gradient: Array, _: Gradients) -> Array:
        parts = gradient.reshape(n, rows, factor, columns, factor, channels)
        total: Array = parts.sum(axis=(2, 4))
        return total

    return x.repeat(factor, axis=1).repeat(factor, axis=2), backward
