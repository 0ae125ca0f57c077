"""Convolutions of pictures and sequences."""

from __future__ import annotations

import math
from typing import ClassVar

from harness.layers.base import Initializer, Layer, Padding, Parameter, Shape, kernel_and_bias
from harness.layers.elementary import ActivationName


class Convolution(Layer, frozen=True):
    """What :class:`Conv1D` and :class:`Conv2D` share: all axes of an input but its channels are convolved."""

    filters: int
    kernel_size: int
    activation: ActivationName | None = None
    strides: int = 1
    padding: Padding = "valid"
    bias: bool = True
    initializer: Initializer = "glorot_uniform"

    def output_shape(self, shape: Shape) -> Shape:
        lengths = (axis + sum(self.same_padding(axis)) - self.kernel_size for axis in shape[:-1])
        return (*(length // self.strides + 1 for length in lengths), self.filters)

    def same_padding(self, axis: int) -> tuple[int, int]:
        """Count the zeros before and after an axis of this length that ``padding`` adds."""
        if self.padding == "valid":
            return (0, 0)
        if self.padding != "same":
            return (self.padding, self.padding)
        total = max((-(-axis // self.strides) - 1) * self.strides + self.kernel_size - axis, 0)
        return (total // 2, total - total // 2)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        kernel = _kernel(self.kernel_size, shape, self.filters, self.initializer)
        return kernel_and_bias(kernel, self.filters, bias=self.bias)

    def forward_flops(self, shape: Shape) -> int:
        products: int = self.kernel_size ** len(shape[:-1]) * shape[-1]
        return 2 * math.prod(self.output_shape(shape)) * products


class Conv2D(Convolution, frozen=True, tag="conv2d"):
    """Cross-correlation over ``(height, width, in)`` with ``bias``, then the ``activation``.

    ``padding``: ``valid`` adds none; ``same`` pads with zeros so that an axis of length ``n`` becomes
    ``ceil(n / strides)``: ``total = max((ceil(n / strides) - 1) * strides + kernel_size - n, 0)`` zeros,
    ``total // 2`` of them before (TensorFlow's rule; PyTorch has no such mode with strides). A number adds so
    many zeros on each side, as PyTorch does; with strides that is not ``same``, which pads a picture of even
    size after its last row only.

    Parameters: ``kernel (kernel_size, kernel_size, in, filters)``, drawn by ``initializer``; ``bias
    (filters,)`` of zeros.
    """

    takes_axes: ClassVar[int | None] = 3


class Conv1D(Convolution, frozen=True, tag="conv1d"):
    """Cross-correlation over ``(steps, in)`` with ``bias``, then the ``activation``.

    ``strides`` and ``padding`` are those of :class:`Conv2D` along the one axis.

    Parameters: ``kernel (kernel_size, in, filters)``, drawn by ``initializer``; ``bias (filters,)`` of zeros.
    """

    takes_axes: ClassVar[int | None] = 2


class ConvTranspose2D(Layer, frozen=True, tag="conv_transpose2d"):
    """The gradient of a ``same`` convolution: ``(height, width, in)`` to ``strides`` times the size.

    ``output[strides * i + k - crop] += input[i] @ kernel[k]`` along each axis, nothing flipped, with
    ``crop = (kernel_size - strides) / 2``, which must be an integer; then the bias and the ``activation``.

    Parameters: ``kernel (kernel_size, kernel_size, in, filters)``, ``bias (filters,)``.
    """

    takes_axes: ClassVar[int | None] = 3
    filters: int
    kernel_size: int
    strides: int
    activation: ActivationName | None = None

    def __post_init__(self) -> None:
        if self.kernel_size < self.strides or (self.kernel_size - self.strides) % 2:
            raise ValueError("kernel_size - strides of a transposed convolution must be even and at least 0")

    @property
    def crop(self) -> int:
        """Rows cut from each side of the full output."""
        return (self.kernel_size - self.strides) // 2

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0] * self.strides, shape[1] * self.strides, self.filters)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return kernel_and_bias(_kernel(self.kernel_size, shape, self.filters), self.filters, bias=True)

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.kernel_size**2 * self.filters


def _kernel(size: int, shape: Shape, filters: int, initializer: Initializer = "glorot_uniform") -> Parameter:
    inputs, receptive_field = shape[-1], size ** len(shape[:-1])
    return Parameter(
        (size,) * len(shape[:-1]) + (inputs, filters),
        initializer,
        fan_in=receptive_field * inputs,
        fan_out=receptive_field * filters,
    )
