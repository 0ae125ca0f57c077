"""Calls of TensorFlow itself in a model's own code: operators on tensors, ``tf.nn`` and all else.

TensorFlow runs a callback after each of its primitives; a layer's or function's own primitives are not
recorded, since those calls are.
"""

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context, execute
from tensorflow.python.framework import op_callbacks

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import (
    all_from_end,
    dilated,
    entering,
    from_end,
    reversal,
    sliced,
    window_padding,
)
from harness_keras.port.functions import arithmetic
from harness_keras.port.recorder import Recorder, active

Tensor = Any


class Primitive(NamedTuple):
    """A primitive that has run."""

    recorder: Recorder
    kind: str
    inputs: tuple[Tensor, ...]
    attributes: dict[str, Any]
    outputs: list[Tensor]

    @property
    def rank(self) -> int:
        """The number of axes of the first input."""
        return len(self.inputs[0].shape)


class Seen(NamedTuple):
    """What a primitive does, with the places of its inputs that are values."""

    does: kinds.AnySemantics
    places: tuple[int, ...] = (0,)
    parameters: dict[str, Stored] = {}  # noqa: RUF012 - never changed


_ELEMENTWISE = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus",
    "Softsign": "softsign", "Selu": "selu", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Rsqrt": "rsqrt",
    "Square": "square", "Abs": "abs", "Neg": "negative", "Sin": "sin", "Cos": "cos",
}  # fmt: skip
#: Primitives that always do the same.
PLAIN = {
    **{kind: Seen(kinds.Activation(function=function)) for kind, function in _ELEMENTWISE.items()},
    "Elu": Seen(kinds.Activation(function="elu", slope=1.0)),
    "Softmax": Seen(kinds.Softmax(axis=-1)),
    "LogSoftmax": Seen(kinds.Softmax(axis=-1, logarithm=True)),
    "SelectV2": Seen(kinds.Selection(), (0, 1, 2)),
}
READINGS: dict[str, Callable[[Primitive], Seen | None]] = {}
_reads = entering(READINGS)


@_reads("LeakyRelu")
def _leaky_relu(primitive: Primitive) -> Seen:
    return Seen(kinds.Activation(function="leaky_relu", slope=primitive.attributes["alpha"]))


_ARITHMETIC = {
    "AddV2": "add", "Add": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "divide", "Div": "divide",
    "Pow": "power", "Maximum": "maximum", "Minimum": "minimum",
}  # fmt: skip


@_reads(*_ARITHMETIC)
def _arithmetic(primitive: Primitive) -> Seen:
    constant, first, are_values = arithmetic(primitive.recorder, *primitive.inputs)
    does = kinds.Arithmetic(function=_ARITHMETIC[primitive.kind], constant=constant, constant_first=first)
    return Seen(does, tuple(place for place, is_value in enumerate(are_values) if is_value))


@_reads("MatMul", "BatchMatMulV2", "BatchMatMulV3")
def _matmul(primitive: Primitive) -> Seen | None:
    transposed = [
        primitive.attributes.get(f"transpose_{side}", primitive.attributes.get(f"adj_{adjoint}", False))
        for side, adjoint in (("a", "x"), ("b", "y"))
    ]
    if transposed[0]:
        return None
    kernel = primitive.inputs[1]
    name = primitive.recorder.name_of(kernel)
    if name is not None and len(kernel.shape) == 2:  # noqa: PLR2004
        return Seen(kinds.Linear(), (0,), {"kernel": Stored(name, axes=(1, 0) if transposed[1] else None)})
    return Seen(kinds.MatrixProduct(transposed=bool(transposed[1])), (0, 1))


_REDUCTIONS = {"Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min"}


@_reads(*_REDUCTIONS)
def _reduction(primitive: Primitive) -> Seen:
    axes = [int(axis) for axis in np.ravel(primitive.inputs[1].numpy())]
    keep = bool(primitive.attributes["keep_dims"])
    function = _REDUCTIONS[primitive.kind]
    return Seen(kinds.Reduction(function=function, axes=all_from_end(axes, primitive.rank), keep=keep))


@_reads("Reshape", "ExpandDims", "Squeeze")
def _reshape(primitive: Primitive) -> Seen:
    return Seen(kinds.Reshape(shape=tuple(primitive.outputs[0].shape[1:])))


@_reads("Transpose")
def _transposition(primitive: Primitive) -> Seen:
    return Seen(kinds.Transposition(axes=tuple(int(axis) for axis in primitive.inputs[1].numpy())))


@_reads("ConcatV2")
def _concatenation(primitive: Primitive) -> Seen:
    *values, axis = primitive.inputs
    return Seen(kinds.Concatenation(axis=from_end(int(axis), primitive.rank)), tuple(range(len(values))))


@_reads("Pad", "PadV2", "MirrorPad")
def _pad(primitive: Primitive) -> Seen:
    padding = tuple((int(low), int(high)) for low, high in primitive.inputs[1].numpy())
    value = float(primitive.inputs[2]) if primitive.kind == "PadV2" else 0.0
    mode = primitive.attributes.get("mode", b"constant")
    mode = (mode.decode() if isinstance(mode, bytes) else mode).lower()
    return Seen(kinds.Padded(padding=padding, mode=mode, value=value))


@_reads("StridedSlice")
def _strided_slice(primitive: Primitive) -> Seen:
    begin, end, strides = ([int(n) for n in each.numpy()] for each in primitive.inputs[1:4])

    def masked(name: str, place: int) -> bool:
        return bool(primitive.attributes[f"{name}_mask"] >> place & 1)

    parts = []
    for place in range(len(begin)):
        if masked("ellipsis", place):
            parts.append("...")
        elif masked("new_axis", place):
            parts.append("None")
        elif masked("shrink_axis", place):
            parts.append(str(begin[place]))
        else:
            start = "" if masked("begin", place) else str(begin[place])
            stop = "" if masked("end", place) else str(end[place])
            parts.append(f"{start}:{stop}" + (f":{strides[place]}" if strides[place] != 1 else ""))
    return Seen(sliced(parts))


@_reads("GatherV2", "ResourceGather")
def _gather(primitive: Primitive) -> Seen | None:
    table = primitive.inputs[0]
    name = primitive.recorder.name_of(table)
    axis = int(primitive.inputs[2]) if primitive.kind == "GatherV2" else 0
    if primitive.kind == "GatherV2" and (name is None or axis or len(table.shape) != 2):  # noqa: PLR2004
        plain = not primitive.attributes.get("batch_dims")
        return Seen(kinds.Gather(axis=from_end(axis, primitive.rank)), (0, 1)) if plain else None
    if name is None or len(table.shape) != 2:  # noqa: PLR2004
        return None
    return Seen(kinds.Embedding(), (1,), {"table": Stored(name)})


@_reads("ReverseV2")
def _reversal(primitive: Primitive) -> Seen:
    axes = [int(axis) for axis in np.ravel(primitive.inputs[1].numpy())]
    return Seen(reversal(axes, primitive.rank))


@_reads("Einsum")
def _contraction(primitive: Primitive) -> Seen:
    equation = _text(primitive.attributes["equation"])
    return Seen(kinds.Contraction(equation=equation), tuple(range(len(primitive.inputs))))


@_reads("Conv2D", "MaxPool", "AvgPool")
def _windows(primitive: Primitive) -> Seen | None:
    attributes, shape = primitive.attributes, tuple(primitive.inputs[0].shape)
    padding = _text(attributes["padding"]).lower()
    if _text(attributes["data_format"]) != "NHWC" or padding == "explicit":
        return None
    strides = tuple(attributes["strides"][1:-1])
    if primitive.kind != "Conv2D":
        size = tuple(attributes["ksize"][1:-1])
        pairs = window_padding(padding, shape[1:-1], size, strides)
        function: Literal["max", "mean"] = "max" if primitive.kind == "MaxPool" else "mean"
        return Seen(
            kinds.Pooling(function=function, size=size, strides=strides, padding=pairs, dilation=(1, 1))
        )
    kernel = primitive.inputs[1]
    name = primitive.recorder.name_of(kernel)
    if name is None:
        return None
    dilation = tuple(attributes["dilations"][1:-1])
    does = kinds.Convolution(
        strides=strides,
        padding=window_padding(padding, shape[1:-1], dilated(kernel.shape[:2], dilation), strides),
        dilation=dilation,
        groups=shape[-1] // kernel.shape[2],
    )
    return Seen(does, (0,), {"kernel": Stored(name)})


@_reads("BiasAdd")
def _bias(primitive: Primitive) -> Seen | None:
    if _text(primitive.attributes["data_format"]) != "NHWC":
        return None
    return Seen(kinds.Arithmetic(function="add"), (0, 1))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


# The callback.


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Report every primitive to the recorder."""
    op_callbacks.add_op_callback(_ran)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(_ran)


def _ran(
    op_type: str | bytes, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
) -> None:
    del op_name
    recorder = active()
    if recorder is None or graph is not None:
        return
    kind = op_type.decode() if isinstance(op_type, bytes) else op_type
    if kind == "ReadVariableOp":
        recorder.alias_of_key(outputs[0], id(inputs[0]))
        return
    if kind in _NOTHING or not outputs or not any(recorder.knows(tensor) for tensor in inputs):
        return
    if kind in _SAME:
        recorder.alias(outputs[0], inputs[0])
        return
    primitive = Primitive(
        recorder, kind, tuple(inputs), dict(zip(attrs[::2], attrs[1::2], strict=True)), outputs
    )
    for made, recorded in zip(outputs, _record(primitive, attrs), strict=True):
        if recorded is not made:
            _overwrite(made, recorded)
            recorder.alias(made, recorded)


def _overwrite(made: Tensor, other: Tensor) -> None:
    """Write other numbers into a tensor made just now: TensorFlow ignores what a callback returns."""
    numbers = np.ascontiguousarray(other.numpy())
    held = np.asarray(memoryview(made))
    if (held.shape, held.dtype) == (numbers.shape, numbers.dtype):
        ctypes.memmove(held.ctypes.data, numbers.ctypes.data, numbers.nbytes)


def _record(primitive: Primitive, attributes: tuple[Any, ...]) -> list[Tensor]:
    reading = READINGS.get(primitive.kind)
    seen = reading(primitive) if reading else PLAIN.get(primitive.kind)
    if seen is None:
        values = [place for place, tensor in enumerate(primitive.inputs) if tensor.dtype != tf.resource]
        seen = Seen(kinds.Opaque(function=primitive.kind), tuple(values))
    given = [primitive.inputs[place] for place in seen.places]

    def compute(*tensors: Tensor) -> Any:
        if all(new is old for new, old in zip(tensors, given, strict=True)):
            return list(primitive.outputs)
        inputs = list(primitive.inputs)
        for place, tensor in zip(seen.places, tensors, strict=True):
            inputs[place] = tensor
        return execute.quick_execute(
            primitive.kind, len(primitive.outputs), inputs=inputs, attrs=attributes, ctx=context.context()
        )

    return primitive.recorder.call(f"tensorflow.{primitive.kind}", seen.does, given, compute, seen.parameters)


#: Primitives of shapes and of no effect on values.
_NOTHING = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "VarHandleOp", "Assert"})
_SAME = frozenset(
    {"Identity", "Cast", "StopGradient", "PreventGradient", "Snapshot", "IdentityN", "EnsureShape"}
)
