"""A model of the user's own as a native layer: names of its arrays, and where its code holds them."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.layers import Native, NativeArray, NativeModel
from harness.port import samples
from harness.port.matching import uses
from harness.port.messages import Description
from harness.port.options import SideSpec
from harness.port.remote_side import RemoteSide
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace
from harness.tracing.side import InputShape
from harness.tracing.stored import Stored

_BATCH = 2


def native_layer(
    spec: SideSpec, inputs: Sequence[InputShape], threads: int, timeout_seconds: float
) -> Native:
    """The layer of a model, which is made and evaluated once in a process of its own.

    Raises:
        UsageError: it cannot be made or evaluated, or has more than one input or output.
    """
    with RemoteSide(spec.target, threads, timeout_seconds) as side:
        built = side.build(spec.arguments, inputs)
        described = side.describe()
        trace = side.trace(samples.inputs(inputs, _BATCH), training=False)
    if len(inputs) != 1 or len(trace.outputs) != 1:
        counts = f"{len(inputs)} inputs and {len(trace.outputs)} outputs"
        raise UsageError(f"{spec.target} has {counts}; a task needs one of each")
    framework = built.plugin
    arrays = _arrays(trace, described, framework)
    trained = set(described.trained)
    output = trace.values[trace.outputs[0]].array
    return Native(
        models=(NativeModel(framework, spec.target, spec.arguments),),
        trained=tuple(array for array in arrays if array.stored[framework].name in trained),
        held=tuple(array for array in arrays if array.stored[framework].name not in trained),
        outputs=output.shape[1:],
        vocabulary=inputs[0].maximum if inputs[0].integer else None,
        flops=flops(trace) or None,
    )


def _arrays(trace: Trace, described: Description, framework: str) -> list[NativeArray]:
    """All parameters and state: by path and role where a known call uses them, else by their own name."""
    found: dict[str, tuple[Stored, np.ndarray]] = {}
    for use in uses(trace):
        for role, stored in use.parameters.items():
            name = f"{use.path.replace('.', '/') or use.kind}/{role}"
            canonical = stored.canonical(described.parameters[stored.name])
            found[_free_name(name, found)] = (stored, canonical)
    seen = {stored.name for stored, _ in found.values()}
    for name, array in described.parameters.items():
        if name not in seen and array.dtype.kind == "f":
            found[_free_name(name.replace(".", "/"), found)] = (Stored(name), array)
    return [
        NativeArray(name, canonical.shape, _initial(canonical), {framework: stored})
        for name, (stored, canonical) in found.items()
    ]


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    names = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)


def _initial(array: np.ndarray) -> float | Literal["zeros", "ones"]:
    """The standard deviation, or the constant."""
    spread = float(array.std())
    if spread == 0.0 and array.size:
        first = float(array.flat[0])
        if first in {0.0, 1.0}:
            return "ones" if first else "zeros"
        return abs(first)
    return spread


def flops(trace: Trace) -> int:
    """FLOPs of one sample: two for each multiply-add of the products whose calls are known."""
    return sum(_flops_of(call, trace) for call in trace.calls)


def _flops_of(call: Call, trace: Trace) -> int:
    output = trace.values[call.outputs[0]].array
    positions = math.prod(output.shape[1:])
    arrays = {value.name: value.array for value in trace.values if value.source == "parameter"}
    kernel = call.parameters.get("kernel")
    if kernel is None:
        return 0
    shape = kernel.canonical(arrays[kernel.name]).shape
    match call.does:
        case kinds.Convolution(transposed=True):
            source = trace.values[call.inputs[0]].array
            return int(2 * math.prod(source.shape[1:]) * math.prod(shape[:-2]) * shape[-1])
        case kinds.Convolution() | kinds.Linear():
            return int(2 * positions * math.prod(shape[:-1]))
        case _:
            return 0
