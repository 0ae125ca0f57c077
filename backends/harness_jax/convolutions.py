"""Convolutions of pictures ``(n, height, width, channels)`` in the form that is fastest on a platform.

All forms compute the same. Besides XLA's own there are forms for its CPU compiler, which has a fast routine
for float32 convolutions with axes in the order of `_LAYOUT` and naive loops for every other order. It
converts gradients to that order, but not within the loop over training steps: there the ``cnn``'s step took
300 ms as autodiff writes it and 30 ms as below (jax 0.10, two cores).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp

from harness.layers import Conv1D, Conv2D, ConvTranspose2D, Shape

_LAYOUT = ("NHWC", "HWIO", "NHWC")
#: Numbers of parts of a batch, the first that divides it being used.
_PARTS = (4, 3, 2, 1)
#: With fewer filters, as in the last layer of the ``gan``'s generator, the sum of parts takes twice as long.
_FEW_FILTERS = 8
#: Zeros before and after each of the two axes; negative numbers cut rows off.
Padding = tuple[tuple[int, int], tuple[int, int]]

#: Maps pictures, a kernel ``(height, width, in, out)``, strides and padding to pictures.
Convolution = Callable[[jax.Array, jax.Array, int, Padding], jax.Array]


def xla_convolution(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    """Convolve by XLA with the gradients of autodiff, which are fast on an accelerator."""
    return lax.conv_general_dilated(x, kernel, (strides, strides), padding, dimension_numbers=_LAYOUT)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def ordered_convolution(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    """Convolve by XLA, with both gradients written as convolutions with the same order of axes."""
    return xla_convolution(x, kernel, strides, padding)


def _ordered_forward(
    x: jax.Array, kernel: jax.Array, strides: int, padding: Padding
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return xla_convolution(x, kernel, strides, padding), (x, kernel)


def _ordered_backward(
    strides: int, padding: Padding, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    to_x, to_kernel = [], []
    for axis, (before, _) in enumerate(padding):
        size, inputs = kernel.shape[axis], x.shape[1 + axis]
        spread = (gradient.shape[1 + axis] - 1) * strides + 1
        to_x.append((size - 1 - before, inputs - spread + before))
        to_kernel.append((before, size - 1 + spread - inputs - before))
    x_gradient = lax.conv_general_dilated(
        gradient,
        kernel[::-1, ::-1].swapaxes(2, 3),
        (1, 1),
        to_x,
        lhs_dilation=(strides, strides),
        dimension_numbers=_LAYOUT,
    )
    return x_gradient, _kernel_gradient(x, gradient, strides, to_kernel)


def _kernel_gradient(
    x: jax.Array, gradient: jax.Array, strides: int, padding: list[tuple[int, int]]
) -> jax.Array:
    """Compute the kernel's gradient as the sum of a few parts of the batch, one after the other.

    In a loop of its own, a transposition is not merged with the layers before it, which XLA would otherwise
    compute again for each element out of order. A part of a batch also fits into the cache. The ``resnet``'s
    step takes 750 ms of CPU instead of 1190, the ``cnn``'s 32 instead of 41.
    """

    def of_part(x: jax.Array, gradient: jax.Array) -> jax.Array:
        # The sum is over the samples, so they take the place of the input channels.
        return lax.conv_general_dilated(
            x.transpose(3, 1, 2, 0),
            gradient.transpose(1, 2, 0, 3),
            (1, 1),
            padding,
            rhs_dilation=(strides, strides),
            dimension_numbers=_LAYOUT,
        )

    samples = len(x)
    parts = next(parts for parts in _PARTS if samples % parts == 0)
    if gradient.shape[-1] < _FEW_FILTERS:
        parts = 1
    cut = [array.reshape(parts, samples // parts, *array.shape[1:]) for array in (x, gradient)]
    like = jax.eval_shape(of_part, cut[0][0], cut[1][0])
    total, _ = lax.scan(
        lambda total, part: (total + of_part(*part), None), jnp.zeros(like.shape, like.dtype), tuple(cut)
    )
    return total.transpose(1, 2, 0, 3)


ordered_convolution.defvjp(_ordered_forward, _ordered_backward)


def matmul_convolution(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    """Convolve by one matrix product of all windows, placed side by side."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    height, width, _, filters = kernel.shape
    rows, columns = ((x.shape[1] - height) // strides, (x.shape[2] - width) // strides)
    windows = [
        x[:, i : i + rows * strides + 1 : strides, j : j + columns * strides + 1 : strides]
        for i in range(height)
        for j in range(width)
    ]
    return jnp.concatenate(windows, axis=-1) @ kernel.reshape(-1, filters)


def xla_transposed(layer: ConvTranspose2D, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Apply XLA's transposed convolution; its "SAME" has the contract's crop, and the kernel is flipped."""
    strides = (layer.strides, layer.strides)
    return lax.conv_transpose(x, kernel[::-1, ::-1], strides, "SAME", dimension_numbers=_LAYOUT)


def cpu_convolution(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    """Convolve by a matrix product for a kernel of one pixel, else by :func:`ordered_convolution`."""
    if kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)):
        return x[:, ::strides, ::strides] @ kernel[0, 0]
    return ordered_convolution(x, kernel, strides, padding)


def matmul_transposed(layer: ConvTranspose2D, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute each of the ``strides**2`` output positions within an input by a small convolution of its own.

    Shi et al. (2016), "Real-time single image and video super-resolution", section 3: no products with the
    zeros between the inputs. Six times as fast as XLA's on the CPU for a layer of the ``gan``.
    """
    strides, filters = layer.strides, layer.filters
    reach = -(-layer.kernel_size // strides)  # inputs under the kernel along an axis
    missing = reach * strides - layer.kernel_size
    kernel = jnp.pad(kernel, ((0, missing), (0, missing), (0, 0), (0, 0)))
    kernel = kernel.reshape(reach, strides, reach, strides, -1, filters).transpose(0, 2, 4, 1, 3, 5)
    kernel = kernel.reshape(reach, reach, -1, strides**2 * filters)[::-1, ::-1]
    around = (reach - 1, reach - 1)
    y = matmul_convolution(x, kernel, 1, (around, around))
    samples, rows, columns, _ = y.shape
    y = y.reshape(samples, rows, columns, strides, strides, filters).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(samples, rows * strides, columns * strides, filters)
    height, width, _ = layer.output_shape(x.shape[1:])
    return y[:, layer.crop : layer.crop + height, layer.crop : layer.crop + width]


class Convolutions(NamedTuple):
    """The forms of both kinds of convolution that a program uses."""

    plain: Convolution
    transposed: Callable[[ConvTranspose2D, jax.Array, jax.Array], jax.Array]

    def convolve(self, layer: Conv2D, shape: Shape, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve pictures of ``shape`` as the layer does, without the bias."""
        padding = (layer.same_padding(shape[0]), layer.same_padding(shape[1]))
        return self.plain(x, kernel, layer.strides, padding)

    def convolve_sequence(self, layer: Conv1D, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve sequences ``(n, steps, in)`` as the layer does, as pictures of one column."""
        padding = (layer.same_padding(x.shape[1]), (0, 0))
        return self.plain(x[:, :, None], kernel[:, None], layer.strides, padding)[:, :, 0]


def fastest_convolutions(platform: str) -> Convolutions:
    """Return the convolutions measured to be fastest in float32 on the CPU; XLA's own on an accelerator.

    The convolutions are the same in every precision, so that the code certified in float64 is the code timed
    in float32.
    """
    if platform != "cpu":
        return Convolutions(xla_convolution, xla_transposed)
    return Convolutions(cpu_convolution, matmul_transposed)
