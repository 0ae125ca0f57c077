"""How the functions are read that ``keras.ops`` consists of, by the names that they have in every engine."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from keras import tree
from keras.src import backend
from keras.src.backend.common.backend_utils import compute_conv_transpose_output_shape

from harness.tracing import functions as shared
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.recorder import Running
from harness_keras.port.readings import FUNCTIONS, reads
from harness_keras.port.recorder import is_array

Tensor = Any

#: Further elementwise functions, by their modules and names.
_ELEMENTWISE = {
    "nn.tanh": "tanh", "numpy.tanh": "tanh", "numpy.exp": "exp", "numpy.log": "log", "numpy.sqrt": "sqrt",
    "math.rsqrt": "rsqrt", "numpy.square": "square", "numpy.abs": "abs", "numpy.absolute": "abs",
    "numpy.negative": "negative", "nn.softsign": "softsign", "numpy.sin": "sin", "numpy.cos": "cos",
}  # fmt: skip
FUNCTIONS.update({f"nn.{name}": reading for name, reading in shared.ACTIVATIONS.items()})
FUNCTIONS.update({f"numpy.{name}": reading for name, reading in shared.REDUCTIONS.items()})
FUNCTIONS.update({name: shared.activation(function) for name, function in _ELEMENTWISE.items()})
FUNCTIONS["numpy.pad"] = shared.padded


_ARITHMETIC = {
    "numpy.add": "add", "numpy.subtract": "subtract", "numpy.multiply": "multiply", "numpy.divide": "divide",
    "numpy.true_divide": "divide", "numpy.power": "power",
    "numpy.maximum": "maximum", "numpy.minimum": "minimum",
}  # fmt: skip


FUNCTIONS.update({name: shared.arithmetic(function) for name, function in _ARITHMETIC.items()})


@reads("core.cast", "core.convert_to_tensor", "core.stop_gradient", "numpy.copy", "numpy.array")
def _same(called: Running) -> Tensor:
    with called.recorder.quiet():
        result = called.run()
    if is_array(called.x):
        called.recorder.alias(result, called.x)
    return result


@reads("numpy.clip")
def _clip(called: Running) -> Tensor:
    low, high = called["x_min"], called["x_max"]
    if low == 0 and high == 6:  # noqa: PLR2004
        return called.record(kinds.Activation(function="relu6"))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return NotImplemented
    low_only, high_only = (
        kinds.Arithmetic(function=function, constant=float(limit))
        for function, limit in (("maximum", low), ("minimum", high))
    )
    limited = called.part(low_only, [called.x], lambda x: called.run(x=x, x_max=math.inf))
    return called.part(high_only, [limited], lambda x: called.run(x=x))


# Products, attention among them.


@reads("numpy.matmul")
def _matmul(called: Running) -> Tensor:
    second, transposed = called["x2"], bool(called.get("transpose_x2"))
    layout = Stored("", axes=(1, 0)) if transposed else None
    kernel = called.recorder.part(second, layout) if len(second.shape) == 2 else None  # noqa: PLR2004
    if kernel is not None:
        return called.record(kinds.Linear(), "x1", parameters={"kernel": kernel})
    return called.record(kinds.MatrixProduct(transposed=transposed), "x1", "x2")


@reads("numpy.take")
def _take(called: Running) -> Tensor:
    table, indices, axis = called["x"], called["indices"], called["axis"]
    part = called.recorder.part(table)
    if part is not None and axis == 0 and called.recorder.numbers_of(part.name).ndim == 2:  # noqa: PLR2004
        return called.record(kinds.Embedding(), "indices", parameters={"table": part})
    if not is_array(table) or not is_array(indices) or axis is None:
        return NotImplemented
    return called.record(kinds.Gather(axis=shared.from_end(axis, len(table.shape))), "x", "indices")


@reads("nn.dot_product_attention")
def _attention(called: Running) -> Tensor:
    mask, bias = called["mask"], called["bias"]
    if (mask is not None and bias is not None) or called.get("attn_logits_soft_cap"):
        return NotImplemented
    if called["query"].shape[2] != called["key"].shape[2]:
        return NotImplemented
    does = kinds.Attention(
        scale=shared.attention_scale(called["scale"], called["key"].shape[-1]),
        causal_offset=0 if called["is_causal"] else None,
        masked=mask is not None or bias is not None,
        heads_axis=2,
    )
    further = "mask" if mask is not None else "bias"
    return called.record(does, "query", "key", "value", *([further] if does.masked else []))


@reads("numpy.einsum")
def _einsum(called: Running) -> Tensor:
    operands, equation = called["operands"], called["subscripts"].replace(" ", "")
    if not all(is_array(each) for each in operands):
        return NotImplemented
    letters = shared.product(equation, [each.shape for each in operands])
    if letters is None:
        return called.record(kinds.Contraction(equation=equation), "operands")
    library = shared.Library(keras.ops.transpose, keras.ops.reshape, keras.ops.matmul)
    part = called.recorder.part
    return shared.contracted(letters, operands, library, lambda each: part(each) is not None)


# Convolutions of all kinds and ranks.


def _convolution(called: Running, *, depthwise: bool = False) -> Tensor:
    *size, of_group, outputs = called["kernel"].shape
    windows = _Windows.of(called, size)
    channels = called["inputs"].shape[1 if windows.first else -1]
    does = kinds.Convolution(
        strides=windows.strides,
        padding=shared.window_padding(called["padding"], windows.lengths, windows.covered, windows.strides),
        dilation=windows.dilation,
        groups=channels if depthwise else channels // of_group,
        channels_first=windows.first,
    )
    # A depthwise kernel is (*size, channels, multiplier): groups of one channel.
    layout = Stored("", shape=(*size, 1, of_group * outputs)) if depthwise else None
    return _with_kernel(called, does, layout)


reads("nn.conv")(_convolution)
reads("nn.depthwise_conv")(functools.partial(_convolution, depthwise=True))


@reads("nn.separable_conv")
def _separable(called: Running) -> Tensor:
    settings = {name: called[name] for name in ("strides", "padding", "data_format", "dilation_rate")}
    between = keras.ops.depthwise_conv(called["inputs"], called["depthwise_kernel"], **settings)
    return keras.ops.conv(between, called["pointwise_kernel"], data_format=settings["data_format"])


@reads("nn.conv_transpose")
def _transposed_convolution(called: Running) -> Tensor:
    """Read the gradient of a convolution; its padding determines the crop."""
    *size, filters, _ = called["kernel"].shape
    windows = _Windows.of(called, size)
    made = compute_conv_transpose_output_shape(
        tuple(called["inputs"].shape),
        tuple(size),
        filters,
        windows.strides,
        called["padding"],
        called["output_padding"],
        "channels_first" if windows.first else "channels_last",
        windows.dilation,
    )
    outputs = shared.spatial(made, first=windows.first)
    forward = shared.window_padding(called["padding"], outputs, windows.covered, windows.strides)
    padding = []
    for length, step, window, (low, _), output in zip(
        windows.lengths, windows.strides, windows.covered, forward, outputs, strict=True
    ):
        padding.append((low, (length - 1) * step + window - low - output))
    does = kinds.Convolution(
        strides=windows.strides,
        padding=tuple(padding),
        dilation=windows.dilation,
        transposed=True,
        channels_first=windows.first,
    )
    rank = len(size)
    return _with_kernel(called, does, Stored("", axes=(*range(rank), rank + 1, rank)))


class _Windows(NamedTuple):
    """How windows lie on the spatial axes: their steps and dilation, and what they cover with it."""

    first: bool
    lengths: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    covered: tuple[int, ...]

    @classmethod
    def of(cls, called: Running, size: Sequence[int]) -> "_Windows":
        rank, first = len(size), _has_channels_first(called)
        strides, dilation = (shared.each_of(called[name], rank) for name in ("strides", "dilation_rate"))
        lengths = shared.spatial(called["inputs"].shape, first=first)
        return cls(first, lengths, strides, dilation, shared.dilated(size, dilation))


def _has_channels_first(called: Running) -> bool:
    return (called["data_format"] or keras.config.image_data_format()) == "channels_first"


def _with_kernel(called: Running, does: kinds.Convolution, layout: Stored | None) -> Tensor:
    recorder, kernel = called.recorder, called["kernel"]
    stored = recorder.part(kernel)
    # One that the model's own code turns was perhaps copied as it is, and is no parameter of the layer.
    if stored is None or stored != Stored(stored.name):
        return NotImplemented
    return called.record(does, "inputs", parameters={"kernel": recorder.part(kernel, layout)})


# What moves, joins and cuts values.


@reads("numpy.reshape", "numpy.expand_dims", "numpy.squeeze", "numpy.ravel")
def _reshape(called: Running) -> Tensor:
    with called.recorder.quiet():
        shape = tuple(int(length) for length in called.run().shape)
    return called.rearrange(kinds.Reshape(shape=shape[1:]), Stored("", shape=shape))


@reads("numpy.transpose", "numpy.moveaxis", "numpy.swapaxes")
def _transposition(called: Running) -> Tensor:
    with called.recorder.quiet():
        # Axes are read from what becomes of an array that has another length on each.
        marked = np.empty(tuple(range(2, 2 + len(called.x.shape))))
        tensor = backend.convert_to_tensor(marked, backend.standardize_dtype(called.x.dtype))
        axes = tuple(int(length) - 2 for length in called.run(**{called.first: tensor}).shape)
    return called.rearrange(kinds.Transposition(axes=axes), Stored("", axes=axes))


@reads("numpy.concatenate")
def _concatenation(called: Running) -> Tensor:
    rank = len(tree.flatten(called.x)[0].shape)
    return called.record(kinds.Concatenation(axis=shared.from_end(called["axis"], rank)))


@reads("numpy.flip")
def _flip(called: Running) -> Tensor:
    rank = len(called.x.shape)
    return called.record(shared.reversal(shared.all_from_end(called["axis"], rank), rank))


@reads("numpy.stack")
def _stack(called: Running) -> Tensor:
    tensors, axis = list(called.x), shared.from_end(called["axis"], len(called.x[0].shape) + 1)
    apart = []
    for x in tensors:
        shape = list(x.shape)
        place = len(shape) + 1 + axis
        shape.insert(place, 1)
        # A reshape keeps the batch.
        does = (
            kinds.Reshape(shape=tuple(shape[1:])) if place else shared.sliced(("None", *":" * len(x.shape)))
        )
        apart.append(called.part(does, [x], lambda x: called.run(x=[x])))
    joined = kinds.Concatenation(axis=axis)
    return called.part(joined, apart, lambda *parts: keras.ops.concatenate(parts, axis))


@reads("numpy.where")
def _selection(called: Running) -> Tensor:
    names = list(called.arguments)
    if any(called[name] is None for name in names):
        return NotImplemented
    given = {
        name: called[name] if is_array(called[name]) else backend.convert_to_tensor(called[name])
        for name in names
    }
    return dataclasses.replace(called, arguments=given).record(kinds.Selection(), *names)


@reads("numpy.repeat", "numpy.tile", "numpy.broadcast_to", "numpy.roll")
def _repetition(called: Running) -> Tensor:
    """Read repeated positions, along one axis after another, each position by its index."""
    x, rank = called.x, len(called.x.shape)
    if called.function.endswith("repeat") and not isinstance(called["repeats"], int):
        return called.record(kinds.Opaque(function=called.function))
    made = []
    with called.recorder.quiet():
        for axis in range(rank):
            line = np.arange(x.shape[axis]).reshape([-1 if each == axis else 1 for each in range(rank)])
            places = np.broadcast_to(line, x.shape).astype(np.int32)
            moved = called.run(**{called.first: backend.convert_to_tensor(places)})
            made.append(np.asarray(keras.ops.convert_to_numpy(moved)))
    added = made[0].ndim - rank
    if added < 0:  # a flattened array
        return called.record(kinds.Opaque(function=called.function))
    if added:
        shape = (1,) * added + tuple(x.shape)
        does = kinds.Reshape(shape=shape[1:])
        x = called.part(does, [x], lambda x: keras.ops.reshape(x, shape))
    for axis, length in enumerate(made[0].shape):
        places = made[axis - added] if axis >= added else np.zeros(made[0].shape, np.int32)
        index = np.moveaxis(places, axis, 0).reshape(length, -1)[:, 0]
        if length == x.shape[axis] and np.array_equal(index, np.arange(length)):
            continue
        taken, take = kinds.Gather(axis=axis - made[0].ndim), functools.partial(keras.ops.take, axis=axis)
        x = called.part(taken, [x, backend.convert_to_tensor(index)], take)
    return x


@reads("numpy.split")
def _split(called: Running) -> Tensor:
    x, axis = called.x, called["axis"] % len(called.x.shape)
    with called.recorder.quiet():
        lengths = [part.shape[axis] for part in called.run()]
    return shared.split(called.recorder, called.function, x, axis, lengths, lambda x: called.run(x=x))


@reads("core.slice")
def _slice(called: Running) -> Tensor:
    cuts = zip(called["start_indices"], called["shape"], strict=True)
    does = shared.sliced(f"{int(start)}:{int(start) + int(length)}" for start, length in cuts)
    return called.record(does, "inputs")


# Pooling and resizing of pictures and sequences.


def _pooling(called: Running, function: Literal["max", "mean"]) -> Tensor:
    first = _has_channels_first(called)
    lengths = shared.spatial(called.x.shape, first=first)
    size = shared.each_of(called["pool_size"], len(lengths))
    strides = size if called["strides"] is None else shared.each_of(called["strides"], len(lengths))
    does = kinds.Pooling(
        function=function,
        size=size,
        strides=strides,
        padding=shared.window_padding(called["padding"], lengths, size, strides),
        dilation=(1,) * len(lengths),
        channels_first=first,
    )
    return called.record(does)


def _adaptive_pooling(called: Running, function: Literal["max", "mean"]) -> Tensor:
    size = shared.each_of(called["output_size"], len(called.x.shape) - 2)
    first = _has_channels_first(called)
    return called.record(kinds.AdaptivePooling(function=function, size=size, channels_first=first))


reads("nn.max_pool")(functools.partial(_pooling, function="max"))
reads("nn.average_pool")(functools.partial(_pooling, function="mean"))
reads("nn.adaptive_max_pool")(functools.partial(_adaptive_pooling, function="max"))
reads("nn.adaptive_average_pool")(functools.partial(_adaptive_pooling, function="mean"))


@reads("image.resize")
def _resize(called: Running) -> Tensor:
    x, size = called["images"], shared.each_of(called["size"], 2)
    first = _has_channels_first(called)
    lengths = shared.spatial(x.shape, first=first)
    method = called["interpolation"]
    shrinks = any(new < old for new, old in zip(size, lengths, strict=True))
    framed = called["crop_to_aspect_ratio"] or called["pad_to_aspect_ratio"]
    if framed or method not in {"nearest", "bilinear", "bicubic"}:
        return NotImplemented
    wider = bool(called["antialias"]) and shrinks
    of_torch = keras.config.backend() == "torch" and not wider
    does = kinds.Resize(
        size=size,
        method=method,
        channels_first=first,
        coefficient=(-0.75 if of_torch else -0.5) if method == "bicubic" else None,
        antialias=wider and method != "nearest",
        inside=method == "bicubic" and not of_torch,
    )
    return called.record(does)
