"""Calls of TensorFlow itself in a model's own code: operators on tensors, ``tf.nn`` and all else.

TensorFlow runs a callback after each of its primitives; a layer's or function's own primitives are not
recorded, since those calls are.
"""

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context, execute
from tensorflow.python.framework import op_callbacks

from harness.tracing import semantics as kinds
from harness_keras.port.recorder import active
from harness_keras.port.tensorflow_primitives import READINGS, Primitive, Seen

Tensor = Any


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
    if kind in _NOTHING or not outputs or not any(recorder.is_known(tensor) for tensor in inputs):
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
    seen = reading(primitive) if reading else None
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
