"""The floating-point operations of a traced evaluation."""

import math

from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace


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
