"""Calls of TensorFlow itself in a model's own code: operators on tensors, ``tf.nn`` and all else.

TensorFlow runs a callback after each of its primitives; a layer's or function's own primitives are not
recorded, since those calls are.
"""

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops, tree
from tensorflow.python.eager import context, execute
from tensorflow.python.framework import op_callbacks

from harness.tracing import semantics as kinds
from harness.tracing.functions import Reading, index_of, sliced
from harness.tracing.recorder import Running
from harness_keras.port.readings import FUNCTIONS
from harness_keras.port.recorder import Recorder, active

Tensor = Any


class Primitive(NamedTuple):
    """A primitive that has run."""

    recorder: Recorder
    kind: str
    inputs: tuple[Tensor, ...]
    attributes: dict[str, Any]
    outputs: list[Tensor]

    def integers(self, place: int) -> list[int]:
        """Return the numbers of an input, such as axes."""
        return [int(each) for each in np.ravel(self.inputs[place].numpy())]

    def text(self, name: str) -> str:
        """Return an attribute in lower case."""
        value = self.attributes.get(name, b"")
        return (value.decode() if isinstance(value, bytes) else value).lower()


class Translation(NamedTuple):
    """How a primitive is read: as a function of Keras, by the names that its inputs have there.

    A name with a star stands for as many inputs as the primitive takes. ``settings`` are further arguments,
    None where these make the primitive another function.
    """

    reading: str | Reading
    names: tuple[str, ...] = ("x",)
    settings: Callable[[Primitive], dict[str, Any] | None] = lambda _: {}

    def places(self, primitive: Primitive) -> dict[str, list[int]]:
        """Return the places of the inputs by the names that they stand for."""
        if self.names[0].startswith("*"):
            return {self.names[0][1:]: list(range(primitive.attributes["N"]))}
        return {name: [place] for place, name in enumerate(self.names)}


def _reduced(primitive: Primitive) -> dict[str, Any]:
    return {"axis": primitive.integers(1), "keepdims": bool(primitive.attributes["keep_dims"])}


def _product(primitive: Primitive) -> dict[str, Any] | None:
    first, second = (
        bool(primitive.attributes.get(f"transpose_{side}", primitive.attributes.get(f"adj_{adjoint}")))
        for side, adjoint in (("a", "x"), ("b", "y"))
    )
    return None if first else {"transpose_x2": second}


def _border(primitive: Primitive) -> dict[str, Any]:
    value = float(primitive.inputs[2]) if primitive.kind == "PadV2" else 0.0
    mode = primitive.text("mode") or "constant"
    return {"pad_width": primitive.inputs[1].numpy(), "mode": mode, "constant_values": value}


def _taken(primitive: Primitive) -> dict[str, Any] | None:
    axis = int(primitive.inputs[2]) if primitive.kind == "GatherV2" else 0
    return None if primitive.attributes.get("batch_dims") else {"axis": axis}


def _windows(primitive: Primitive) -> dict[str, Any] | None:
    """Return the arguments of a sliding window on channels-last arrays; None if its form is not known."""
    inside = {
        name: primitive.attributes.get(attribute, [])[1:-1]
        for name, attribute in (
            ("strides", "strides"),
            ("pool_size", "ksize"),
            ("dilation_rate", "dilations"),
        )
    }
    known = primitive.text("data_format") == "nhwc" and primitive.text("padding") != "explicit"
    return inside | {"padding": primitive.text("padding"), "data_format": "channels_last"} if known else None


def _slice(called: Running) -> Tensor:
    """Read ``StridedSlice``, whose masks mark the entries that are no range."""
    primitive: Primitive = called["primitive"]
    begin, end, strides = (primitive.integers(place) for place in (1, 2, 3))

    def masked(name: str, place: int) -> bool:
        return bool(primitive.attributes[f"{name}_mask"] >> place & 1)

    index: list[Any] = []
    for place in range(len(begin)):
        if masked("ellipsis", place) or masked("new_axis", place):
            index.append(... if masked("ellipsis", place) else None)
        elif masked("shrink_axis", place):
            index.append(begin[place])
        else:
            start = None if masked("begin", place) else begin[place]
            stop = None if masked("end", place) else end[place]
            index.append(slice(start, stop, strides[place]))
    does = index_of(tuple(index))
    return NotImplemented if does is None else called.record(does)


def _sum_of_products(called: Running) -> Tensor:
    equation = called["primitive"].attributes["equation"].decode()
    return called.record(kinds.Contraction(equation=equation))


def _apart(called: Running) -> list[Tensor] | Any:
    """Read ``Unpack`` as an index for each of its results."""
    axis, rank = called["axis"] % len(called.x.shape), len(called.x.shape)

    def part(place: int) -> Tensor:
        does = sliced(str(place) if each == axis else ":" for each in range(rank))
        return called.part(does, [called.x], lambda x: tree.flatten(called.run(x=x))[place])

    return [part(place) for place in range(called["num"])]


_SAME_NAMES = {
    "nn": ("Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Selu", "Tanh"),
    "numpy": ("Exp", "Log", "Sqrt", "Square", "Abs", "Sin", "Cos"),
    "math": ("Rsqrt",),
}
_ARITHMETIC = {
    "AddV2": "add", "Add": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "divide", "Div": "divide",
    "Pow": "power", "Maximum": "maximum", "Minimum": "minimum",
}  # fmt: skip
_TWO = ("x1", "x2")
_TRANSLATIONS = {
    **{
        kind: Translation(f"{group}.{kind.lower()}")
        for group, several in _SAME_NAMES.items()
        for kind in several
    },
    **{kind: Translation(f"numpy.{name}", _TWO) for kind, name in _ARITHMETIC.items()},
    **{
        kind: Translation(f"numpy.{kind.lower()}", settings=_reduced)
        for kind in ("Mean", "Sum", "Max", "Min")
    },
    **dict.fromkeys(
        ("MatMul", "BatchMatMulV2", "BatchMatMulV3"), Translation("numpy.matmul", _TWO, _product)
    ),
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), Translation("numpy.reshape")),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), Translation("numpy.pad", settings=_border)),
    **dict.fromkeys(("GatherV2", "ResourceGather"), Translation("numpy.take", ("x", "indices"), _taken)),
    "Neg": Translation("numpy.negative"),
    "Elu": Translation("nn.elu", settings=lambda _: {"alpha": 1.0}),
    "LeakyRelu": Translation(
        "nn.leaky_relu", settings=lambda primitive: {"negative_slope": primitive.attributes["alpha"]}
    ),
    "Softmax": Translation("nn.softmax", settings=lambda _: {"axis": -1}),
    "LogSoftmax": Translation("nn.log_softmax", settings=lambda _: {"axis": -1}),
    "SelectV2": Translation("numpy.where", ("condition", *_TWO)),
    "Transpose": Translation("numpy.transpose"),
    "ConcatV2": Translation(
        "numpy.concatenate", ("*xs",), lambda primitive: {"axis": int(primitive.inputs[-1])}
    ),
    "Pack": Translation(
        lambda called: ops.stack(list(called.x), called["axis"]),
        ("*xs",),
        lambda primitive: {"axis": primitive.attributes["axis"]},
    ),
    "Unpack": Translation(
        _apart, settings=lambda primitive: {name: primitive.attributes[name] for name in ("axis", "num")}
    ),
    "ReverseV2": Translation("numpy.flip", settings=lambda primitive: {"axis": primitive.integers(1)}),
    "Conv2D": Translation("nn.conv", ("inputs", "kernel"), _windows),
    "MaxPool": Translation("nn.max_pool", ("inputs",), _windows),
    "AvgPool": Translation("nn.average_pool", ("inputs",), _windows),
    "BiasAdd": Translation(
        "numpy.add", _TWO, lambda primitive: {} if primitive.text("data_format") == "nhwc" else None
    ),
    "StridedSlice": Translation(_slice, settings=lambda primitive: {"primitive": primitive}),
    "Einsum": Translation(_sum_of_products, ("*xs",), lambda primitive: {"primitive": primitive}),
}


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
        recorder.alias(outputs[0], inputs[0])
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
    """Write other numbers into a tensor made just now: TensorFlow ignores a callback's result."""
    numbers = np.ascontiguousarray(other.numpy())
    held = np.asarray(memoryview(made))
    if (held.shape, held.dtype) == (numbers.shape, numbers.dtype):
        ctypes.memmove(held.ctypes.data, numbers.ctypes.data, numbers.nbytes)


def _record(primitive: Primitive, attributes: tuple[Any, ...]) -> list[Tensor]:
    shown, outputs = f"tensorflow.{primitive.kind}", list(primitive.outputs)

    def call(places: dict[str, list[int]], settings: dict[str, Any]) -> Running:
        tensors = {name: [primitive.inputs[place] for place in several] for name, several in places.items()}

        def run(**changed: Any) -> Any:
            inputs = list(primitive.inputs)
            for name, new in changed.items():
                for place, tensor in zip(places[name], tree.flatten(new), strict=True):
                    inputs[place] = tensor
            if all(new is old for new, old in zip(inputs, primitive.inputs, strict=True)):
                made = outputs
            else:
                made = execute.quick_execute(
                    primitive.kind, len(outputs), inputs=inputs, attrs=attributes, ctx=context.context()
                )
            return made[0] if len(made) == 1 else made

        given = {
            name: each[0] if len(places) > 1 or len(each) == 1 else each for name, each in tensors.items()
        }
        return Running(primitive.recorder, shown, given | settings, run)

    translation = _TRANSLATIONS.get(primitive.kind)
    settings = None if translation is None else translation.settings(primitive)
    result = NotImplemented
    if translation is not None and settings is not None:
        reading = translation.reading
        called = call(translation.places(primitive), settings)
        result = (FUNCTIONS[reading] if isinstance(reading, str) else reading)(called)
    if result is NotImplemented:
        values = [place for place, tensor in enumerate(primitive.inputs) if tensor.dtype != tf.resource]
        called = call({"values": values}, {})
        result = called.record(kinds.Opaque(function=primitive.kind))
    return result if isinstance(result, list) else [result]


#: Primitives of shapes and of no effect on values.
_NOTHING = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "VarHandleOp", "Assert"})
_SAME = frozenset(
    {"Identity", "Cast", "StopGradient", "PreventGradient", "Snapshot", "IdentityN", "EnsureShape"}
)
