"""The mean over all positions, in the precision of the model."""

from typing import Any

import keras
from keras import ops

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
