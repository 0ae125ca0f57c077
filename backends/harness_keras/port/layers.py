"""Layers that normalise, that work on each element, and that draw at random."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src import backend

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import all_from_end, each_of, from_end, replaced, sliced, spatial
from harness_keras.port.readings import Layer, Unreadable, layer_class, reads_layer
from harness_keras.port.recorder import active

Tensor = Any


# Normalisation layers.


@reads_layer(keras.layers.BatchNormalization)
def _batch(running: Layer) -> Tensor:
    """Read a batch normalisation over all axes but one; frozen layers always use running statistics."""
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
    statistics = {"running_mean": layer.moving_mean, "running_variance": layer.moving_variance}
    return running.record(does, parameters=_affine(running, **statistics))


@reads_layer(keras.layers.LayerNormalization)
def _layer_normalization(running: Layer) -> Tensor:
    layer = running.layer
    if getattr(layer, "rms_scaling", False):
        # The variance about the mean divides what is not centred: neither of the known norms.
        raise Unreadable
    axes = all_from_end(layer.axis, len(running.x.shape))
    does = kinds.LayerNormalization(epsilon=layer.epsilon, axes=axes)
    return running.record(does, parameters=_affine(running))


@reads_layer(layer_class("RMSNormalization"))
def _root_mean_square(running: Layer) -> Tensor:
    layer = running.layer
    axes = all_from_end(layer.axis, len(running.x.shape))
    does = kinds.LayerNormalization(epsilon=layer.epsilon, axes=axes, centered=False)
    return running.record(does, parameters={"scale": running.stored(layer.scale)})


@reads_layer(keras.layers.GroupNormalization)
def _group(running: Layer) -> Tensor:
    layer = running.layer
    does = kinds.GroupNormalization(
        groups=layer.groups,
        epsilon=layer.epsilon,
        channels_first=_channels_first(layer.axis, len(running.x.shape)),
    )
    return running.record(does, parameters=_affine(running))


def _affine(running: Layer, **further: Any) -> dict[str, Stored]:
    layer = running.layer
    gamma, beta = layer.gamma if layer.scale else None, layer.beta if layer.center else None
    return running.roles(scale=gamma, shift=beta, **further)


def _channels_first(axis: Any, rank: int) -> bool:
    """Check that the channels are on the second axis."""
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    if not isinstance(axis, int):
        raise Unreadable
    place = from_end(axis, rank)
    if place not in {-1, 1 - rank}:
        raise Unreadable
    return place != -1


# Layers that work on each element, and that make pictures and sequences larger or smaller.


@reads_layer(keras.layers.Rescaling)
def _rescaling(running: Layer) -> Tensor:
    layer = running.layer
    if not isinstance(layer.scale, int | float) or not isinstance(layer.offset, int | float):
        raise Unreadable
    scaled = ops.multiply(running.x, float(layer.scale))
    return ops.add(scaled, float(layer.offset)) if layer.offset else scaled


@reads_layer(keras.layers.Identity)
def _unchanged(running: Layer) -> Tensor:
    return running.record(kinds.Activation(function="identity"))


@reads_layer(keras.layers.UpSampling1D, keras.layers.UpSampling2D, keras.layers.UpSampling3D)
def _up_sampling(running: Layer) -> Tensor:
    """Read an up-sampling that repeats each position; other ways of resizing are a function's call."""
    layer = running.layer
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise Unreadable
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    lengths = spatial(running.x.shape, first=first)
    factors = each_of(layer.size, len(lengths))
    does = kinds.Resize(
        size=tuple(length * factor for length, factor in zip(lengths, factors, strict=True)),
        method="nearest",
        channels_first=first,
    )
    return running.record(does)


@reads_layer(keras.layers.Cropping1D, keras.layers.Cropping2D, keras.layers.Cropping3D)
def _cropping(running: Layer) -> Tensor:
    layer = running.layer
    pairs = [layer.cropping] if isinstance(layer.cropping[0], int) else list(layer.cropping)
    cuts = [f"{low or ''}:{-high if high else ''}" for low, high in pairs]
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return running.record(sliced([":", *[":"] * first, *cuts]))


# Layers that draw at random, which a side leaves out and records.

_NAMES = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
#: Layers whose randomness is not that of ``keras.random.dropout``. A random crop is a crop at any time.
NOISE = (
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    *(name for name in dir(keras.layers) if name.startswith("Random") and name != "RandomCrop"),
)


def layers_named(names: tuple[str, ...]) -> list[Any]:
    """Return the classes of these names that this version of Keras has."""
    return [getattr(keras.layers, name) for name in names if hasattr(keras.layers, name)]


@reads_layer(*layers_named(_NAMES + NOISE))
def _random_layer(running: Layer) -> Tensor:
    layer = running.layer
    rate = getattr(layer, "stddev", getattr(layer, "rate", 1.0))
    rate = float(rate) if isinstance(rate, int | float) else 1.0
    does = kinds.Dropout(rate=rate, active=running.training and rate > 0)
    return running.part(does, [running.x], lambda x: x)


def without_dropout() -> contextlib.AbstractContextManager[None]:
    """Make dropout and noise return their inputs."""
    calls = [(layer, "call", _identity(layer.call)) for layer in layers_named(NOISE)]
    return replaced([(backend.random, "dropout", _dropout), *calls])


def _dropout(inputs: Tensor, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    del noise_shape, seed
    recorder = active()
    if recorder is None or not recorder.knows(inputs):
        return inputs
    does = kinds.Dropout(rate=float(rate), active=rate > 0)
    return recorder.call("keras.random.dropout", does, [inputs], lambda x: x)


def _identity(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(self: Any, inputs: Tensor, training: bool = False) -> Tensor:  # noqa: ARG001
        return inputs

    call.__doc__ = original.__doc__
    return call
