"""How the functions are read that ``keras.ops`` consists of, by the names that they have in every engine."""

import dataclasses
import functools
import math
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src import backend

from harness.tracing import functions as shared
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import (
    Reading,
    all_from_end,
    each_of,
    from_end,
    reversal,
    sliced,
    spatial,
    window_padding,
)
from harness.tracing.recorder import Running
from harness_keras.port.readings import FUNCTIONS, reads
from harness_keras.port.recorder import Recorder, is_array

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


def arithmetic(recorder: Recorder, first: Any, second: Any) -> tuple[float | None, bool, tuple[bool, bool]]:
    """The number among two arguments, whether it is the first, and which of them are values."""
    numbers = [_number(recorder, first), _number(recorder, second)]
    if numbers[1] is not None and numbers[0] is None:
        return numbers[1], False, (True, False)
    if numbers[0] is not None and numbers[1] is None:
        return numbers[0], True, (False, True)
    return None, False, (True, True)


def _number(recorder: Recorder, value: Any) -> float | None:
    if is_array(value):
        if recorder.knows(value) or math.prod(value.shape) != 1 or len(value.shape):
            return None
        return float(value)
    if isinstance(value, int | float | np.number):
        return float(value)
    return float(value) if isinstance(value, np.ndarray) and value.ndim == 0 else None


def _binary(function: str) -> Reading:
    def reading(called: Running) -> Tensor:
        names = list(called.arguments)[:2]
        constant, first, are_values = arithmetic(called.recorder, *(called[name] for name in names))
        does = kinds.Arithmetic(function=function, constant=constant, constant_first=first)
        used = [name for name, is_value in zip(names, are_values, strict=True) if is_value]
        arrays_of_numpy = [name for name in used if not is_array(called[name])]
        changed = {name: as_tensor(called[name]) for name in arrays_of_numpy}
        return dataclasses.replace(called, arguments={**called.arguments, **changed}).record(does, *used)

    return reading


def as_tensor(array: Any) -> Tensor:
    """An array as a tensor of the engine, not recorded."""
    return backend.convert_to_tensor(array)


FUNCTIONS.update({name: _binary(function) for name, function in _ARITHMETIC.items()})


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
    second = called["x2"]
    name = called.recorder.name_of(second) if is_array(second) else None
    if name is not None and len(second.shape) == 2:  # noqa: PLR2004
        return called.record(kinds.Linear(), "x1", parameters={"kernel": Stored(name)})
    return called.record(kinds.MatrixProduct(), "x1", "x2")


@reads("numpy.take")
def _take(called: Running) -> Tensor:
    table = called["x"]
    name = called.recorder.name_of(table) if is_array(table) else None
    if name is not None and called["axis"] == 0 and len(table.shape) == 2:  # noqa: PLR2004
        return called.record(kinds.Embedding(), "indices", parameters={"table": Stored(name)})
    if not is_array(table) or not is_array(called["indices"]) or called["axis"] is None:
        return NotImplemented
    return called.record(kinds.Gather(axis=from_end(called["axis"], len(table.shape))), "x", "indices")


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
    operands = called["operands"]
    if not all(is_array(each) for each in operands):
        return NotImplemented
    equation = called["subscripts"].replace(" ", "")
    transposed = _product(equation) if len(operands) == 2 else None  # noqa: PLR2004
    does: kinds.AnySemantics = kinds.Contraction(equation=equation)
    if transposed is not None:
        does = kinds.MatrixProduct(transposed=transposed)
    return called.record(does, "operands")


def _product(equation: str) -> bool | None:
    """Whether an equation is a product of the last two axes, the second transposed; None if it is none."""
    left, output = equation.split("->") if "->" in equation else (equation, "")
    first, second = left.split(",")
    batch, rows, inner = first[:-2], first[-2:-1], first[-1:]
    if not output or len(second) != len(first) or second[:-2] != batch or output[:-1] != batch + rows:
        return None
    column = output[-1]
    return {inner + column: False, column + inner: True}.get(second[-2:])


# What moves, joins and cuts values.


@reads("numpy.reshape", "numpy.expand_dims", "numpy.squeeze", "numpy.ravel")
def _reshape(called: Running) -> Tensor:
    with called.recorder.quiet():
        shape = tuple(int(length) for length in called.run().shape)
    return called.record(kinds.Reshape(shape=shape[1:]))


@reads("numpy.transpose", "numpy.moveaxis", "numpy.swapaxes")
def _transposition(called: Running) -> Tensor:
    with called.recorder.quiet():
        shape = called.x.shape
        # Axes are read from what becomes of an array that has another length on each.
        marked = np.empty(tuple(range(2, 2 + len(shape))))
        axes = tuple(int(length) - 2 for length in called.run(**{called.first: as_tensor(marked)}).shape)
    return called.record(kinds.Transposition(axes=axes))


@reads("numpy.concatenate")
def _concatenation(called: Running) -> Tensor:
    rank = len(tree.flatten(called.x)[0].shape)
    return called.record(kinds.Concatenation(axis=from_end(called["axis"], rank)))


@reads("numpy.flip")
def _flip(called: Running) -> Tensor:
    rank = len(called.x.shape)
    return called.record(reversal(all_from_end(called["axis"], rank), rank))


@reads("numpy.stack")
def _stack(called: Running) -> Tensor:
    tensors, axis = list(called.x), from_end(called["axis"], len(called.x[0].shape) + 1)
    apart = []
    for x in tensors:
        shape = list(x.shape)
        shape.insert(len(shape) + 1 + axis, 1)
        does = kinds.Reshape(shape=tuple(shape[1:]))
        apart.append(called.part(does, [x], lambda x: called.run(x=[x])))
    joined = kinds.Concatenation(axis=axis)
    return called.part(joined, apart, lambda *parts: keras.ops.concatenate(parts, axis))


@reads("numpy.where")
def _selection(called: Running) -> Tensor:
    names = list(called.arguments)
    if any(called[name] is None for name in names):
        return NotImplemented
    given = {name: called[name] if is_array(called[name]) else as_tensor(called[name]) for name in names}
    return dataclasses.replace(called, arguments=given).record(kinds.Selection(), *names)


@reads("numpy.repeat", "numpy.tile", "numpy.broadcast_to", "numpy.roll")
def _repetition(called: Running) -> Tensor:
    """Positions that are taken again: along one axis after another, each of them is given by its index."""
    x, rank = called.x, len(called.x.shape)
    if called.function.endswith("repeat") and not isinstance(called["repeats"], int):
        return called.record(kinds.Opaque(function=called.function))
    made = []
    with called.recorder.quiet():
        for axis in range(rank):
            line = np.arange(x.shape[axis]).reshape([-1 if each == axis else 1 for each in range(rank)])
            places = np.broadcast_to(line, x.shape).astype(np.int32)
            moved = called.run(**{called.first: as_tensor(places)})
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
        x = called.part(taken, [x, as_tensor(index)], take)
    return x


@reads("numpy.split")
def _split(called: Running) -> Tensor:
    axis = from_end(called["axis"], len(called.x.shape))
    with called.recorder.quiet():
        lengths = [part.shape[axis] for part in called.run()]
    made, start = [], 0
    for place, length in enumerate(lengths):
        index = [":"] * len(called.x.shape)
        index[axis] = f"{start}:{start + length}"
        part = called.part(sliced(index), [called.x], lambda x, place=place: called.run(x=x)[place])
        made.append(part)
        start += length
    return made


@reads("core.slice")
def _slice(called: Running) -> Tensor:
    cuts = zip(called["start_indices"], called["shape"], strict=True)
    does = sliced(f"{int(start)}:{int(start) + int(length)}" for start, length in cuts)
    return called.record(does, "inputs")


# Pooling and resizing of pictures and sequences.


@reads("nn.max_pool", "nn.average_pool")
def _pooling(called: Running) -> Tensor:
    x = called.x
    data_format = called["data_format"] or keras.config.image_data_format()
    lengths = spatial(x.shape, data_format)
    rank = len(lengths)
    size = each_of(called["pool_size"], rank)
    strides = size if called["strides"] is None else each_of(called["strides"], rank)
    does = kinds.Pooling(
        function="max" if called.function.endswith("max_pool") else "mean",
        size=size,
        strides=strides,
        padding=window_padding(called["padding"], lengths, size, strides),
        dilation=(1,) * rank,
        channels_first=data_format == "channels_first",
    )
    return called.record(does)


@reads("nn.adaptive_max_pool", "nn.adaptive_average_pool")
def _adaptive_pooling(called: Running) -> Tensor:
    data_format = called["data_format"] or keras.config.image_data_format()
    rank = len(called.x.shape) - 2
    does = kinds.AdaptivePooling(
        function="max" if "max" in called.function else "mean",
        size=each_of(called["output_size"], rank),
        channels_first=data_format == "channels_first",
    )
    return called.record(does)


@reads("image.resize")
def _resize(called: Running) -> Tensor:
    x, size = called["images"], each_of(called["size"], 2)
    data_format = called["data_format"] or keras.config.image_data_format()
    lengths = spatial(x.shape, data_format)
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
        channels_first=data_format == "channels_first",
        coefficient=(-0.75 if of_torch else -0.5) if method == "bicubic" else None,
        antialias=wider and method != "nearest",
        inside=method == "bicubic" and not of_torch,
    )
    return called.record(does)
