"""Layers that multiply by a kernel, that normalise, that work on each element, and that draw at random."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops
from keras.src import backend

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import (
    all_from_end,
    dilated,
    each_of,
    from_end,
    sliced,
    spatial,
    window_padding,
)
from harness_keras.port.readings import Layer, Unreadable, layer_class, reads_layer, with_activation
from harness_keras.port.recorder import active

Tensor = Any


@reads_layer(keras.layers.Dense)
@with_activation
def dense(running: Layer) -> Tensor:
    """``(..., inputs)`` to ``(..., units)``."""
    roles = running.roles(kernel=running.layer.kernel, bias=running.layer.bias)
    return running.record(kinds.Linear(), parameters=roles)


@reads_layer(layer_class("EinsumDense"))
@with_activation
def einsum_dense(running: Layer) -> Tensor:
    """A product that is one on the last axis once axes are merged, as in projections to and from heads."""
    layer, x = running.layer, running.x
    inputs, outputs = contraction(layer.equation, len(x.shape))
    kernel = tuple(layer.kernel.shape)
    flat = math.prod(kernel[:inputs]), math.prod(kernel[inputs:])
    parameters = {"kernel": running.stored(layer.kernel, shape=flat)}
    if layer.bias is not None:
        if tuple(layer.bias.shape) != kernel[inputs:]:
            raise Unreadable
        parameters["bias"] = running.stored(layer.bias, shape=(flat[1],))
    kept = tuple(x.shape[: len(x.shape) - inputs])
    if inputs > 1:
        x = running.part(
            kinds.Reshape(shape=(*kept[1:], flat[0])), [x], lambda x: ops.reshape(x, (*kept, flat[0]))
        )
    split = (*x.shape[:-1], *kernel[:inputs])

    def product(x: Tensor) -> Tensor:
        y = running.run(**{running.first: ops.reshape(x, split)})
        return ops.reshape(y, (*kept, flat[1]))

    y = running.part(kinds.Linear(), [x], product, parameters)
    if outputs == 1:
        return y
    shape = (*kept, *kernel[inputs:])
    return running.part(kinds.Reshape(shape=shape[1:]), [y], lambda y: ops.reshape(y, shape))


def contraction(equation: str, rank: int) -> tuple[int, int]:
    """How many last axes of the input are contracted with the first of the kernel, and how many come out.

    Raises:
        Unreadable: the equation is another kind of product.
    """
    left, output = equation.replace(" ", "").split("->")
    given, kernel = left.split(",")
    summed = [letter for letter in kernel if letter in given and letter not in output]
    made = [letter for letter in kernel if letter not in summed]
    kept = given[: len(given) - len(summed)]
    regular = (
        summed
        and made
        and kernel == "".join(summed + made)
        and given == kept + "".join(summed)
        and output == kept + "".join(made)
        and ("..." in equation or len(given) == rank)
    )
    if not regular:
        raise Unreadable
    return len(summed), len(made)


@reads_layer(keras.layers.Embedding)
def embedding(running: Layer) -> Tensor:
    """Integers to rows of the table; a mask that it makes goes with the result."""
    return running.record(kinds.Embedding(), parameters={"table": running.stored(running.layer.embeddings)})


@reads_layer(layer_class("ReversibleEmbedding"))
def reversible_embedding(running: Layer) -> Tensor:
    """An embedding, or with ``reverse`` the product with its table or with a kernel of its own."""
    layer = running.layer
    if not running.arguments.get("reverse"):
        return embedding(running)
    if layer.logit_soft_cap is not None:
        raise Unreadable
    if layer.tie_weights:
        kernel = running.stored(layer.embeddings, axes=(1, 0))
    else:
        kernel = running.stored(layer.reverse_embeddings)
    return running.record(kinds.Linear(), parameters={"kernel": kernel})


# Convolutions of all kinds and ranks.


@reads_layer(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
@with_activation
def convolution(running: Layer) -> Tensor:
    """A convolution, perhaps in groups."""
    layer = running.layer
    does = _convolution(layer, running.x, layer.kernel_size, groups=layer.groups)
    return running.record(does, parameters=_with_bias(running, running.stored(layer.kernel)))


@reads_layer(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
@with_activation
def transposed(running: Layer) -> Tensor:
    """The gradient of a convolution."""
    layer, rank, x = running.layer, running.layer.rank, running.x
    strides, dilation = each_of(layer.strides, rank), each_of(layer.dilation_rate, rank)
    lengths, outputs = (
        spatial(shape, layer.data_format) for shape in (x.shape, layer.compute_output_shape(x.shape))
    )
    windows = dilated(layer.kernel_size, dilation)
    does = kinds.Convolution(
        strides=strides,
        padding=_transposed_padding(layer.padding, lengths, outputs, windows, strides),
        dilation=dilation,
        transposed=True,
        channels_first=layer.data_format == "channels_first",
    )
    axes = (*range(rank), rank + 1, rank)
    return running.record(does, parameters=_with_bias(running, running.stored(layer.kernel, axes=axes)))


@reads_layer(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
@with_activation
def depthwise(running: Layer) -> Tensor:
    """A convolution in as many groups as there are channels."""
    layer = running.layer
    channels = layer.kernel.shape[-2]
    does = _convolution(layer, running.x, layer.kernel_size, groups=channels)
    return running.record(does, parameters=_with_bias(running, _depthwise_kernel(running, layer.kernel)))


@reads_layer(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
@with_activation
def separable(running: Layer) -> Tensor:
    """A depthwise convolution and a pointwise one, as two calls."""
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


def _transposed_padding(
    padding: str,
    lengths: Sequence[int],
    outputs: Sequence[int],
    windows: Sequence[int],
    strides: Sequence[int],
) -> kinds.Padding:
    """What a transposed convolution cuts off its output, given the lengths of inputs and outputs."""
    # The padding of the convolution whose gradient this is.
    lows = [low for low, _ in window_padding(padding, outputs, windows, strides)]
    full = [
        (length - 1) * stride + window
        for length, stride, window in zip(lengths, strides, windows, strict=True)
    ]
    return tuple((low, whole - low - output) for low, whole, output in zip(lows, full, outputs, strict=True))


def _convolution(layer: Any, x: Tensor, size: tuple[int, ...], groups: int) -> kinds.Convolution:
    rank = layer.rank
    strides, dilation = each_of(layer.strides, rank), each_of(layer.dilation_rate, rank)
    windows = dilated(each_of(size, rank), dilation)
    lengths = spatial(x.shape, layer.data_format)
    return kinds.Convolution(
        strides=strides,
        padding=window_padding(layer.padding, lengths, windows, strides),
        dilation=dilation,
        groups=groups,
        channels_first=layer.data_format == "channels_first",
    )


def _depthwise_kernel(running: Layer, kernel: Any) -> Stored:
    """``(*sizes, channels, multiplier)`` as a kernel in groups of one channel."""
    *size, channels, multiplier = kernel.shape
    return running.stored(kernel, shape=(*size, 1, channels * multiplier))


def _with_bias(running: Layer, kernel: Stored) -> dict[str, Stored]:
    return {"kernel": kernel} | running.roles(bias=running.layer.bias if running.layer.use_bias else None)


# Normalisation layers.


@reads_layer(keras.layers.BatchNormalization)
def batch(running: Layer) -> Tensor:
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
    statistics = {"running_mean": layer.moving_mean, "running_variance": layer.moving_variance}
    return running.record(does, parameters=_affine(running, **statistics))


@reads_layer(keras.layers.LayerNormalization)
def layer_normalization(running: Layer) -> Tensor:
    """Over some axes of a sample."""
    layer = running.layer
    if getattr(layer, "rms_scaling", False):
        # The variance about the mean divides what is not centred: neither of the known norms.
        raise Unreadable
    axes = all_from_end(layer.axis, len(running.x.shape))
    does = kinds.LayerNormalization(epsilon=layer.epsilon, axes=axes)
    return running.record(does, parameters=_affine(running))


@reads_layer(layer_class("RMSNormalization"))
def root_mean_square(running: Layer) -> Tensor:
    """Division by the root mean square, without centring."""
    layer = running.layer
    axes = all_from_end(layer.axis, len(running.x.shape))
    does = kinds.LayerNormalization(epsilon=layer.epsilon, axes=axes, centered=False)
    return running.record(does, parameters={"scale": running.stored(layer.scale)})


@reads_layer(keras.layers.GroupNormalization)
def group(running: Layer) -> Tensor:
    """Over groups of channels and all positions."""
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


# Layers that work on each element, and that make pictures and sequences larger or smaller.


@reads_layer(keras.layers.Activation)
def activation(running: Layer) -> Tensor:
    """The function itself, except mish, which Keras puts together of others."""
    if running.layer.activation is not keras.activations.mish:
        raise Unreadable
    return running.record(kinds.Activation(function="mish"))


@reads_layer(keras.layers.Rescaling)
def rescaling(running: Layer) -> Tensor:
    """A product and a sum with numbers."""
    layer = running.layer
    if not isinstance(layer.scale, int | float) or not isinstance(layer.offset, int | float):
        raise Unreadable
    scaled = ops.multiply(running.x, float(layer.scale))
    return ops.add(scaled, float(layer.offset)) if layer.offset else scaled


@reads_layer(keras.layers.Identity)
def identity(running: Layer) -> Tensor:
    """The input itself."""
    return running.record(kinds.Activation(function="identity"))


@reads_layer(keras.layers.UpSampling1D, keras.layers.UpSampling2D, keras.layers.UpSampling3D)
def up_sampling(running: Layer) -> Tensor:
    """Each position repeated; other ways of resizing are a function's call."""
    layer = running.layer
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise Unreadable
    data_format = getattr(layer, "data_format", "channels_last")
    lengths = spatial(running.x.shape, data_format)
    factors = each_of(layer.size, len(lengths))
    does = kinds.Resize(
        size=tuple(length * factor for length, factor in zip(lengths, factors, strict=True)),
        method="nearest",
        channels_first=data_format == "channels_first",
    )
    return running.record(does)


@reads_layer(keras.layers.Cropping1D, keras.layers.Cropping2D, keras.layers.Cropping3D)
def cropping(running: Layer) -> Tensor:
    """What is left without the borders."""
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
    """The classes of these names that this Keras has."""
    return [getattr(keras.layers, name) for name in names if hasattr(keras.layers, name)]


def together_of(shape: Sequence[int], noise_shape: Any) -> int:
    """How many elements have one number of a noise of this shape, in which None is a whole axis."""
    if noise_shape is None:
        return 1
    pairs = zip(shape, tuple(noise_shape), strict=True)
    return math.prod(length for length, noise in pairs if noise is not None and int(noise) == 1)


@reads_layer(*layers_named(_NAMES + NOISE))
def random_layer(running: Layer) -> Tensor:
    """The input itself."""
    layer = running.layer
    rate = getattr(layer, "stddev", getattr(layer, "rate", 1.0))
    rate = float(rate) if isinstance(rate, int | float) else 1.0
    shape, noise = tuple(running.x.shape), getattr(layer, "noise_shape", None)
    if hasattr(layer, "_get_noise_shape"):  # a spatial dropout
        noise = layer._get_noise_shape(running.x)  # noqa: SLF001
    together = together_of(shape, noise)
    does = kinds.Dropout(rate=rate, active=running.training and rate > 0, together=together)
    return running.part(does, [running.x], lambda x: x)


@contextlib.contextmanager
def without_dropout() -> Iterator[None]:
    """Dropout and noise give back what they get."""
    layers = layers_named(NOISE)
    before = backend.random.dropout, [layer.call for layer in layers]
    backend.random.dropout = _dropout
    for layer in layers:
        layer.call = _identity(layer.call)
    try:
        yield
    finally:
        backend.random.dropout = before[0]
        for layer, call in zip(layers, before[1], strict=True):
            layer.call = call


def _dropout(inputs: Tensor, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    del seed
    recorder = active()
    if recorder is None or not recorder.knows(inputs):
        return inputs
    together = together_of(inputs.shape, noise_shape)
    does = kinds.Dropout(rate=float(rate), active=rate > 0, together=together)
    return recorder.call("keras.random.dropout", does, [inputs], lambda x: x)


def _identity(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(self: Any, inputs: Tensor, training: bool = False) -> Tensor:  # noqa: ARG001
        return inputs

    call.__doc__ = original.__doc__
    return call
