"""Pictures and sequences made smaller, larger or flat."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from harness.layers import (
    AveragePool2D,
    Flatten,
    GlobalAveragePool,
    MaxPool2D,
    PlacedLayer,
    Reshape,
    UpSample2D,
)
from harness_keras.layout import channels_axis, channels_first

Tensor = Any


class GlobalAverage(keras.layers.Layer):
    """Mean over all axes but the batch and ``axis``, of pictures or sequences.

    Keras's own layers use ``ops.mean``, which goes through float32 in a float64 model.
    """

    def __init__(self, axis: int, **options: Any) -> None:
        super().__init__(**options)
        self._axis = axis

    def call(self, inputs: Tensor) -> Tensor:
        """``(batch, ..., channels)``, or with the channels at ``axis``, to ``(batch, channels)``."""
        shape = inputs.shape
        positions = [axis for axis in range(1, len(shape)) if axis != self._axis % len(shape)]
        if self.compute_dtype != "float64":
            return ops.mean(inputs, positions)
        mean, _ = ops.moments(inputs, positions)
        return mean


def sampling(place: PlacedLayer, name: str) -> Iterator[keras.layers.Layer]:
    """The Keras layers that in order make up one without weights."""
    match place.layer:
        case MaxPool2D(pool_size):
            yield keras.layers.MaxPooling2D(pool_size, name=name)
        case AveragePool2D(pool_size):
            yield keras.layers.AveragePooling2D(pool_size, name=name)
        case GlobalAveragePool():
            yield GlobalAverage(channels_axis(place.input_shape), name=name)
        case UpSample2D(factor):
            yield keras.layers.UpSampling2D(factor, name=name)
        case Flatten():
            # With channels first Keras would also reorder the axes of a sequence.
            channels = "channels_first" if channels_first(place.input_shape) else "channels_last"
            yield keras.layers.Flatten(channels, name=name)
        case Reshape(shape):
            yield keras.layers.Reshape(shape, name=name)
            if channels_first(shape):
                yield keras.layers.Permute((3, 1, 2), name=f"{name}_channels_first")
