"""Convolutions of all kinds and ranks."""

from typing import Any

import keras
from keras import ops

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.geometry import spatial, transposed_padding, tuple_of, window_padding
from harness_keras.port.readings import Running, reads, with_activation

Tensor = Any


@reads(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def convolution(running: Running) -> Tensor:
    """A convolution, perhaps in groups."""

    def linear(running: Running) -> Tensor:
        layer = running.layer
        does = _convolution(layer, running.x, layer.kernel_size, groups=layer.groups)
        return running.whole(does, _with_bias(running, running.stored(layer.kernel)))

    return with_activation(running, linear)


@reads(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
def transposed(running: Running) -> Tensor:
    """The gradient of a convolution."""

    def linear(running: Running) -> Tensor:
        layer, x = running.layer, running.x
        rank = layer.rank
        outputs = spatial(layer.compute_output_shape(x.shape), layer.data_format)
        does = kinds.Convolution(
            strides=tuple_of(layer.strides, rank),
            padding=transposed_padding(
                layer.padding,
                spatial(x.shape, layer.data_format),
                outputs,
                layer.kernel_size,
                tuple_of(layer.strides, rank),
                tuple_of(layer.dilation_rate, rank),
            ),
            dilation=tuple_of(layer.dilation_rate, rank),
            transposed=True,
            channels_first=layer.data_format == "channels_first",
        )
        axes = (*range(rank), rank + 1, rank)
        return running.whole(does, _with_bias(running, running.stored(layer.kernel, axes=axes)))

    return with_activation(running, linear)


@reads(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def depthwise(running: Running) -> Tensor:
    """A convolution in as many groups as there are channels."""

    def linear(running: Running) -> Tensor:
        layer = running.layer
        channels = layer.kernel.shape[-2]
        does = _convolution(layer, running.x, layer.kernel_size, groups=channels)
        return running.whole(does, _with_bias(running, _depthwise_kernel(running, layer.kernel)))

    return with_activation(running, linear)


@reads(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def separable(running: Running) -> Tensor:
    """A depthwise convolution and a pointwise one, as two calls."""
    return with_activation(running, _separable_linear)


def _separable_linear(running: Running) -> Tensor:
    layer, x = running.layer, running.x
    spread = _convolution(layer, x, layer.kernel_size, groups=layer.depthwise_kernel.shape[-2])
    between = running.part(
        spread,
        [x],
        lambda x: ops.depthwise_conv(
            x,
            layer.depthwise_kernel,
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            data_format=layer.data_format,
        ),
        {"kernel": _depthwise_kernel(running, layer.depthwise_kernel)},
    )
    mixed = kinds.Convolution(
        strides=(1,) * layer.rank,
        padding=((0, 0),) * layer.rank,
        dilation=(1,) * layer.rank,
        channels_first=layer.data_format == "channels_first",
    )

    def pointwise(x: Tensor) -> Tensor:
        y = ops.conv(x, layer.pointwise_kernel, data_format=layer.data_format)
        if not layer.use_bias:
            return y
        first = layer.data_format == "channels_first"
        shape = (1, -1, *(1,) * layer.rank) if first else (1,) * (layer.rank + 1) + (-1,)
        return y + ops.reshape(layer.bias, shape)

    return running.part(
        mixed, [between], pointwise, _with_bias(running, running.stored(layer.pointwise_kernel))
    )


def _convolution(layer: Any, x: Tensor, size: tuple[int, ...], groups: int) -> kinds.Convolution:
    rank = layer.rank
    strides, dilation = tuple_of(layer.strides, rank), tuple_of(layer.dilation_rate, rank)
    lengths = spatial(x.shape, layer.data_format)
    return kinds.Convolution(
        strides=strides,
        padding=window_padding(layer.padding, lengths, tuple_of(size, rank), strides, dilation),
        dilation=dilation,
        groups=groups,
        channels_first=layer.data_format == "channels_first",
    )


def _depthwise_kernel(running: Running, kernel: Any) -> Stored:
    """``(*sizes, channels, multiplier)`` as a kernel in groups of one channel."""
    *size, channels, multiplier = kernel.shape
    return running.stored(kernel, shape=(*size, 1, channels * multiplier))


def _with_bias(running: Running, kernel: Stored) -> dict[str, Stored]:
    parameters = {"kernel": kernel}
    if running.layer.use_bias:
        parameters["bias"] = running.stored(running.layer.bias)
    return parameters
