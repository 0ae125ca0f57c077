"""Layers that make pictures and sequences larger or smaller."""

from typing import Any

import keras

from harness.tracing import semantics as kinds
from harness_keras.port.geometry import spatial, tuple_of
from harness_keras.port.readings import Running, Unreadable, reads

Tensor = Any


@reads(keras.layers.UpSampling1D, keras.layers.UpSampling2D, keras.layers.UpSampling3D)
def up_sampling(running: Running) -> Tensor:
    """Each position repeated; other ways of resizing are a function's call."""
    layer = running.layer
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise Unreadable
    data_format = getattr(layer, "data_format", "channels_last")
    lengths = spatial(running.x.shape, data_format)
    factors = tuple_of(layer.size, len(lengths))
    does = kinds.Resize(
        size=tuple(length * factor for length, factor in zip(lengths, factors, strict=True)),
        method="nearest",
        channels_first=data_format == "channels_first",
    )
    return running.whole(does)


@reads(keras.layers.Cropping1D, keras.layers.Cropping2D, keras.layers.Cropping3D)
def cropping(running: Running) -> Tensor:
    """What is left without the borders."""
    layer = running.layer
    pairs = [layer.cropping] if isinstance(layer.cropping[0], int) else list(layer.cropping)
    cuts = [f"{low or ''}:{-high if high else ''}" for low, high in pairs]
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return running.whole(kinds.Slice(index=f"[{', '.join([':', *[':'] * first, *cuts])}]"))
