"""Normalisations over the batch, over features and over groups of channels."""

import numpy as np

from harness.port.reference.dispatch import Arrays, Parameters, formula
from harness.tracing import semantics as kinds


def scaled(x: np.ndarray, parameters: Parameters) -> np.ndarray:
    """``x * scale + shift``, as far as there are such parameters."""
    x = x * parameters["scale"] if "scale" in parameters else x
    return x + parameters["shift"] if "shift" in parameters else x


def channels_last(x: np.ndarray, *, first: bool) -> np.ndarray:
    """The array with its channels on the last axis."""
    return np.moveaxis(x, 1, -1) if first and x.ndim > 2 else x  # noqa: PLR2004


def as_before(x: np.ndarray, *, first: bool) -> np.ndarray:
    """The inverse of :func:`channels_last`."""
    return np.moveaxis(x, -1, 1) if first and x.ndim > 2 else x  # noqa: PLR2004


@formula.register
def _(does: kinds.BatchNormalization, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    if does.training:
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
    else:
        mean, variance = parameters["running_mean"], parameters["running_variance"]
    normal = (x - mean) / np.sqrt(variance + does.epsilon)
    return [as_before(scaled(normal, parameters), first=does.channels_first)]


def running_statistics(
    does: kinds.BatchNormalization, x: np.ndarray, parameters: Parameters
) -> dict[str, np.ndarray]:
    """The running mean and variance after a training step on ``x``."""
    x = channels_last(x, first=does.channels_first)
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    variance = x.var(axes)
    if does.unbiased_running_variance:
        variance = variance * count / max(1, count - 1)
    share = does.momentum
    return {
        "running_mean": (1 - share) * parameters["running_mean"] + share * x.mean(axes),
        "running_variance": (1 - share) * parameters["running_variance"] + share * variance,
    }


@formula.register
def _(does: kinds.LayerNormalization, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x, axes = inputs[0], does.axes
    centred = x - x.mean(axes, keepdims=True) if does.centered else x
    normal = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + does.epsilon)
    shaped = {
        role: array.reshape([x.shape[axis] if axis - x.ndim in axes else 1 for axis in range(x.ndim)])
        for role, array in parameters.items()
    }
    return [scaled(normal, shaped)]


@formula.register
def _(does: kinds.GroupNormalization, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    grouped = x.reshape(len(x), -1, does.groups, x.shape[-1] // does.groups)
    mean = grouped.mean((1, 3), keepdims=True)
    variance = grouped.var((1, 3), keepdims=True)
    normal = ((grouped - mean) / np.sqrt(variance + does.epsilon)).reshape(x.shape)
    return [as_before(scaled(normal, parameters), first=does.channels_first)]
