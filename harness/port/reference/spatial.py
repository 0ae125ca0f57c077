"""Convolutions, pooling and resizing over spatial axes, with channels on the last axis inside."""

import itertools
import math

import numpy as np

from harness.port.reference.dispatch import Arrays, NoReference, Parameters, formula
from harness.port.reference.normalization import as_before, channels_last
from harness.tracing import semantics as kinds


def windows(
    x: np.ndarray, size: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> np.ndarray:
    """Windows of (batch, *positions, channels): (batch, *windows, channels, *size), a view."""
    spatial = tuple(range(1, x.ndim - 1))
    reach = tuple((s - 1) * d + 1 for s, d in zip(size, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=spatial)
    place: list[slice] = [slice(None), *(slice(None, None, s) for s in strides), slice(None)]
    return view[(*place, *(slice(None, None, d) for d in dilation))]


def padded(x: np.ndarray, padding: kinds.Padding, value: float = 0.0) -> np.ndarray:
    """The spatial axes with a border; a negative one cuts off."""
    border = [(0, 0), *((max(0, low), max(0, high)) for low, high in padding), (0, 0)]
    x = np.pad(x, border, constant_values=value)
    cut = [slice(max(0, -low), x.shape[axis] - max(0, -high)) for axis, (low, high) in enumerate(padding, 1)]
    return x[(slice(None), *cut)]


@formula.register
def _(does: kinds.Convolution, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    kernel = parameters["kernel"]
    if kernel.ndim != x.ndim:
        raise NoReference("the kernel does not fit the input")
    out = _transposed(does, x, kernel) if does.transposed else _forward(does, x, kernel)
    if "bias" in parameters:
        out = out + parameters["bias"]
    return [as_before(out, first=does.channels_first)]


def _forward(does: kinds.Convolution, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    size, groups = kernel.shape[:-2], does.groups
    view = windows(padded(x, does.padding), size, does.strides, does.dilation)
    spatial = len(size)
    inputs = np.split(view, groups, axis=1 + spatial)
    kernels = np.split(kernel, groups, axis=-1)
    over = [1 + spatial, *range(2 + spatial, 2 + 2 * spatial)]
    parts = [
        np.tensordot(part, each, (over, [spatial, *range(spatial)]))
        for part, each in zip(inputs, kernels, strict=True)
    ]
    return np.concatenate(parts, axis=-1)


def _transposed(does: kinds.Convolution, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    size, spatial = kernel.shape[:-2], kernel.ndim - 2
    length = [
        (positions - 1) * stride + (taps - 1) * dilation + 1
        for positions, stride, taps, dilation in zip(
            x.shape[1:-1], does.strides, size, does.dilation, strict=True
        )
    ]
    room = [max(whole, whole - high) for whole, (_, high) in zip(length, does.padding, strict=True)]
    inputs = np.split(x, does.groups, axis=-1)
    kernels = np.split(kernel, does.groups, axis=-2)
    outs = []
    for part, each in zip(inputs, kernels, strict=True):
        out = np.zeros((len(x), *room, each.shape[-1]))
        for tap in itertools.product(*map(range, size)):
            place = tuple(
                slice(t * dilation, t * dilation + (positions - 1) * stride + 1, stride)
                for t, dilation, positions, stride in zip(
                    tap, does.dilation, x.shape[1:-1], does.strides, strict=True
                )
            )
            out[(slice(None), *place)] += part @ each[tap]
        outs.append(out)
    whole = np.concatenate(outs, axis=-1)
    cut = tuple(slice(low, length[axis] - high) for axis, (low, high) in enumerate(does.padding[:spatial]))
    return whole[(slice(None), *cut)]


@formula.register
def _(does: kinds.Pooling, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    dilation = does.dilation or (1,) * len(does.size)
    inner = tuple(range(-len(does.size), 0))
    if does.function == "max":
        view = windows(padded(x, does.padding, -math.inf), does.size, does.strides, dilation)
        out = view.max(inner)
    else:
        total = windows(padded(x, does.padding), does.size, does.strides, dilation).sum(inner)
        ones = padded(np.ones_like(x[:1, ..., :1]), does.padding, 1.0 if does.counts_padding else 0.0)
        out = total / windows(ones, does.size, does.strides, dilation).sum(inner)
    return [as_before(out, first=does.channels_first)]


@formula.register
def _(does: kinds.AdaptivePooling, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    for axis, size in enumerate(does.size, 1):
        length = x.shape[axis]
        parts = [
            np.take(x, range(place * length // size, -(-(place + 1) * length // size)), axis)
            for place in range(size)
        ]
        function = np.max if does.function == "max" else np.mean
        x = np.stack([function(part, axis=axis) for part in parts], axis=axis)
    return [as_before(x, first=does.channels_first)]


@formula.register
def _(does: kinds.Resize, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    if does.method == "bicubic":
        raise NoReference("bicubic resizing")
    x = channels_last(inputs[0], first=does.channels_first)
    for axis, size in enumerate(does.size, 1):
        x = _resized(x, axis, size, does)
    return [as_before(x, first=does.channels_first)]


def _resized(x: np.ndarray, axis: int, size: int, does: kinds.Resize) -> np.ndarray:
    length = x.shape[axis]
    if does.align_corners:
        places = np.arange(size) * ((length - 1) / max(1, size - 1))
    else:
        places = np.arange(size) * (length / size)
        if does.half_pixel:
            places += 0.5 * length / size - 0.5
    if does.method == "nearest":
        nearest = np.floor(np.arange(size) * (length / size)) if not does.half_pixel else np.round(places)
        return np.asarray(np.take(x, np.clip(nearest, 0, length - 1).astype(int), axis))
    places = np.clip(places, 0, length - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, length - 1)
    share = (places - low).reshape([-1 if each == axis else 1 for each in range(x.ndim)])
    return np.asarray(np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share)
