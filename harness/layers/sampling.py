"""Pictures made smaller or larger."""

import math
from typing import ClassVar

from harness.layers.base import Layer, Shape


class MaxPool2D(Layer, frozen=True, tag="max_pool2d"):
    """Maximum over windows of ``pool_size`` that do not overlap; an incomplete last window is dropped.

    Where several values of a window are the maximum, as in black areas of a picture, only one of them gets
    the gradient: the first, in rows from the top.
    """

    takes_axes: ClassVar[int | None] = 3
    pool_size: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height // self.pool_size, width // self.pool_size, channels)


class AveragePool2D(Layer, frozen=True, tag="average_pool2d"):
    """Mean over windows of ``pool_size`` that do not overlap; an incomplete last window is dropped."""

    takes_axes: ClassVar[int | None] = 3
    pool_size: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height // self.pool_size, width // self.pool_size, channels)


class GlobalAveragePool(Layer, frozen=True, tag="global_average_pool"):
    """Mean over all axes but the last: pictures or sequences to ``(channels,)``."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2:  # noqa: PLR2004
            raise ValueError(f"there is no axis to average over in {shape}")
        return shape[-1:]


class UpSample2D(Layer, frozen=True, tag="up_sample2d"):
    """Repeats each row and column ``factor`` times (nearest neighbour)."""

    takes_axes: ClassVar[int | None] = 3
    factor: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height * self.factor, width * self.factor, channels)


class Flatten(Layer, frozen=True, tag="flatten"):
    """All axes but the batch into one, in C order of the channels-last shape."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


class Reshape(Layer, frozen=True, tag="reshape"):
    """``(features,)`` to ``shape``, in C order of the channels-last shape."""

    takes_axes: ClassVar[int | None] = 1
    shape: Shape

    def output_shape(self, shape: Shape) -> Shape:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"{shape} cannot be reshaped to {self.shape}")
        return self.shape
