"""Functions of ``keras.ops`` that move, join and cut values."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import tree

from harness.tracing import semantics as kinds
from harness_keras.port.called import Called, reads
from harness_keras.port.functions_elementwise import as_tensor
from harness_keras.port.geometry import all_from_end, from_end
from harness_keras.port.recorder import is_array

Tensor = Any


@reads("numpy.reshape", "numpy.expand_dims", "numpy.squeeze", "numpy.ravel")
def _reshape(called: Called) -> Tensor:
    with called.recorder.quiet():
        shape = tuple(int(length) for length in called.again().shape)
    return called.record(kinds.Reshape(shape=shape[1:]))


@reads("numpy.transpose", "numpy.moveaxis", "numpy.swapaxes")
def _transposition(called: Called) -> Tensor:
    with called.recorder.quiet():
        shape = called.x.shape
        # Axes are read from what becomes of an array that has another length on each.
        marked = np.empty(tuple(range(2, 2 + len(shape))))
        axes = tuple(int(length) - 2 for length in called.again(**{_first(called): as_tensor(marked)}).shape)
    return called.record(kinds.Transposition(axes=axes))


@reads("numpy.concatenate")
def _concatenation(called: Called) -> Tensor:
    rank = len(tree.flatten(called.x)[0].shape)
    return called.record(kinds.Concatenation(axis=from_end(called["axis"], rank)))


@reads("numpy.flip")
def _flip(called: Called) -> Tensor:
    rank = len(called.x.shape)
    axes = all_from_end(called["axis"], rank)
    parts = ["::-1" if axis in axes else ":" for axis in range(-rank, 0)]
    return called.record(kinds.Slice(index=f"[{', '.join(parts)}]"))


@reads("numpy.pad")
def _pad(called: Called) -> Tensor:
    mode = {"symmetric": "symmetric"}.get(called["mode"], called["mode"])
    rank = len(called.x.shape)
    width = np.broadcast_to(np.asarray(called["pad_width"]), (rank, 2))
    padding = tuple((int(low), int(high)) for low, high in width)
    value = float(called["constant_values"] or 0.0)
    return called.record(kinds.Padded(padding=padding, mode=mode, value=value))


@reads("numpy.stack")
def _stack(called: Called) -> Tensor:
    tensors, axis = list(called.x), from_end(called["axis"], len(called.x[0].shape) + 1)
    apart = []
    for x in tensors:
        shape = list(x.shape)
        shape.insert(len(shape) + 1 + axis, 1)
        does = kinds.Reshape(shape=tuple(shape[1:]))
        apart.append(called.recorder.call(called.function, does, [x], lambda x: called.again(x=[x])))
    return called.recorder.call(
        called.function,
        kinds.Concatenation(axis=axis),
        apart,
        lambda *parts: keras.ops.concatenate(parts, axis),
    )


@reads("numpy.where")
def _selection(called: Called) -> Tensor:
    names = list(called.arguments)
    if any(called[name] is None for name in names):
        return NotImplemented
    given = {name: called[name] if is_array(called[name]) else as_tensor(called[name]) for name in names}
    return dataclasses.replace(called, arguments=given).record(kinds.Selection(), *names)


@reads("numpy.repeat", "numpy.tile", "numpy.broadcast_to", "numpy.roll")
def _repetition(called: Called) -> Tensor:
    """Positions that are taken again: along one axis after another, each of them is given by its index."""
    x, rank = called.x, len(called.x.shape)
    if called.function.endswith("repeat") and not isinstance(called["repeats"], int):
        return called.record(kinds.Opaque(function=called.function))
    made = []
    with called.recorder.quiet():
        for axis in range(rank):
            line = np.arange(x.shape[axis]).reshape([-1 if each == axis else 1 for each in range(rank)])
            places = np.broadcast_to(line, x.shape).astype(np.int32)
            made.append(
                np.asarray(keras.ops.convert_to_numpy(called.again(**{_first(called): as_tensor(places)})))
            )
    added = made[0].ndim - rank
    if added < 0:  # a flattened array
        return called.record(kinds.Opaque(function=called.function))
    if added:
        shape = (1,) * added + tuple(x.shape)
        does = kinds.Reshape(shape=shape[1:])
        x = called.recorder.call(called.function, does, [x], lambda x: keras.ops.reshape(x, shape))
    for axis, length in enumerate(made[0].shape):
        places = made[axis - added] if axis >= added else np.zeros(made[0].shape, np.int32)
        index = np.moveaxis(places, axis, 0).reshape(length, -1)[:, 0]
        if length == x.shape[axis] and np.array_equal(index, np.arange(length)):
            continue
        x = called.recorder.call(
            called.function,
            kinds.Gather(axis=axis - made[0].ndim),
            [x, as_tensor(index)],
            lambda x, index, axis=axis: keras.ops.take(x, index, axis),
        )
    return x


def _first(called: Called) -> str:
    return next(iter(called.arguments))


@reads("numpy.split")
def _split(called: Called) -> Tensor:
    axis = from_end(called["axis"], len(called.x.shape))
    with called.recorder.quiet():
        lengths = [part.shape[axis] for part in called.again()]
    made, start = [], 0
    for place, length in enumerate(lengths):
        index = [":"] * len(called.x.shape)
        index[axis] = f"{start}:{start + length}"
        does = kinds.Slice(index=f"[{', '.join(index)}]")
        part = called.recorder.call(
            called.function, does, [called.x], lambda x, place=place: called.again(x=x)[place]
        )
        made.append(part)
        start += length
    return made


@reads("core.slice")
def _slice(called: Called) -> Tensor:
    index = [
        f"{int(start)}:{int(start) + int(length)}"
        for start, length in zip(called["start_indices"], called["shape"], strict=True)
    ]
    return called.record(kinds.Slice(index=f"[{', '.join(index)}]"), "inputs")
