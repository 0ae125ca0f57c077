"""Keras's normalisation layers where they are not the contract's.

Keras computes them in the common type of the inputs and float32. By its rules of promotion that is float32
for float64 inputs too, except on TensorFlow: in a float64 model batch normalisation is off by 2e-7 and layer
normalisation by 1e-6.
"""

import math
from typing import Any

import keras
from keras import ops

Tensor = Any


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer in the precision of its weights, with the unbiased variance as the running one."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Normalise over all axes but the layer's; in training also update the running statistics."""
        x = ops.cast(inputs, self.variable_dtype)
        if training:
            mean, variance = ops.moments(x, self._reduction_axes)
            self._update(self.moving_mean, mean)
            self._update(self.moving_variance, variance * self._bessel(x))
        else:
            mean, variance = self.moving_mean, self.moving_variance
        y = ops.batch_normalization(x, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
        return ops.cast(y, self.compute_dtype)

    def _update(self, statistic: keras.Variable, of_batch: Tensor) -> None:
        statistic.assign(statistic + (of_batch - statistic) * (1.0 - self.momentum))

    def _bessel(self, x: Tensor) -> Tensor:
        """Compute ``n / (n - 1)`` for the ``n`` values of a channel."""
        shape = ops.shape(x)
        counts = [shape[axis] for axis in self._reduction_axes]
        if all(isinstance(count, int) for count in counts):
            n = math.prod(counts)
            return n / (n - 1)
        n = ops.cast(ops.prod(ops.stack(counts)), self.variable_dtype)
        return n / (n - 1)


class GroupNormalization(keras.layers.GroupNormalization):
    """Keras's layer, in float64 by its formula."""

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise each sample over all positions and the channels of a group; the same shape."""
        if self.compute_dtype != "float64":
            return super().call(inputs)
        x = ops.moveaxis(inputs, self.axis, -1)
        shape, channels = ops.shape(x), x.shape[-1]
        grouped = ops.reshape(x, (shape[0], -1, self.groups, channels // self.groups))
        mean, variance = ops.moments(grouped, [1, 3], keepdims=True)
        y = ops.reshape((grouped - mean) * ops.rsqrt(variance + self.epsilon), shape)
        return ops.moveaxis(y * self.gamma + self.beta, -1, self.axis)


class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer over the last axis, in float64 by its formula."""

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise ``(..., features)``; the shape stays."""
        if self.compute_dtype != "float64":
            return super().call(inputs)
        mean, variance = ops.moments(inputs, [-1], keepdims=True)
        return (inputs - mean) * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta
