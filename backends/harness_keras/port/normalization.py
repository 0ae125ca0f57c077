"""Normalisation layers."""

from typing import Any

import keras

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.geometry import all_from_end, from_end
from harness_keras.port.readings import Running, Unreadable, layer_class, reads

Tensor = Any


@reads(keras.layers.BatchNormalization)
def batch(running: Running) -> Tensor:
    """Over all axes but one; a frozen layer uses the running statistics in training too."""
    layer = running.layer
    if getattr(layer, "renorm", False) or running.arguments.get("mask") is not None:
        raise Unreadable
    does = kinds.BatchNormalization(
        epsilon=layer.epsilon,
        momentum=round(1 - layer.momentum, 12),  # 0.01, not 0.010000000000000009
        unbiased_running_variance=False,
        training=running.training and layer.trainable,
        channels_first=_channels_first(layer.axis, len(running.x.shape)),
    )
    parameters = _affine(running)
    parameters["running_mean"] = running.stored(layer.moving_mean)
    parameters["running_variance"] = running.stored(layer.moving_variance)
    return running.whole(does, parameters)


@reads(keras.layers.LayerNormalization)
def layer_normalization(running: Running) -> Tensor:
    """Over some axes of a sample."""
    layer = running.layer
    if getattr(layer, "rms_scaling", False):
        # The variance about the mean divides what is not centred: neither of the known norms.
        raise Unreadable
    axes = all_from_end(layer.axis, len(running.x.shape))
    return running.whole(kinds.LayerNormalization(epsilon=layer.epsilon, axes=axes), _affine(running))


@reads(layer_class("RMSNormalization"))
def root_mean_square(running: Running) -> Tensor:
    """Division by the root mean square, without centring."""
    layer = running.layer
    axes = all_from_end(layer.axis, len(running.x.shape))
    does = kinds.LayerNormalization(epsilon=layer.epsilon, axes=axes, centered=False)
    return running.whole(does, {"scale": running.stored(layer.scale)})


@reads(keras.layers.GroupNormalization)
def group(running: Running) -> Tensor:
    """Over groups of channels and all positions."""
    layer = running.layer
    does = kinds.GroupNormalization(
        groups=layer.groups,
        epsilon=layer.epsilon,
        channels_first=_channels_first(layer.axis, len(running.x.shape)),
    )
    return running.whole(does, _affine(running))


def _affine(running: Running) -> dict[str, Stored]:
    layer = running.layer
    parameters = {}
    if layer.scale:
        parameters["scale"] = running.stored(layer.gamma)
    if layer.center:
        parameters["shift"] = running.stored(layer.beta)
    return parameters


def _channels_first(axis: Any, rank: int) -> bool:
    """Whether the channels are at the second axis.

    Raises:
        Unreadable: they are at another one than the second or the last.
    """
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    if not isinstance(axis, int):
        raise Unreadable
    place = from_end(axis, rank)
    if place not in {-1, 1 - rank}:
        raise Unreadable
    return place != -1
