"""A traced evaluation of one model: the uses of its parameters, and its FLOPs."""

import math
from typing import NamedTuple

from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace


class Use(NamedTuple):
    """Parameters that are used together: by a call, or by a part of a packed projection.

    ``place`` is the place of the call in its trace, ``depth`` the number of calls with parameters before it.
    ``shapes`` are the shapes of the canonical arrays by role.
    """

    place: int
    depth: int
    kind: str
    path: str
    parameters: dict[str, Stored]
    shapes: dict[str, tuple[int, ...]]


def uses(trace: Trace) -> list[Use]:
    """List the first use of each parameter of ``trace``, ordered by the depth of its call, then by use."""
    depths, arrays = _depths(trace), trace.stored()
    found: list[Use] = []
    seen: set[tuple[str, ...]] = set()
    for place, call in enumerate(trace.calls):
        if not call.parameters:
            continue
        names = tuple(sorted({repr(stored) for stored in call.parameters.values()}))
        if names not in seen:
            seen.add(names)
            shapes = {role: each.canonical(arrays[each.name]).shape for role, each in call.parameters.items()}
            kind = type(call.does).__name__
            found.append(Use(place, depths[place], kind, call.path, call.parameters, shapes))
    return sorted(found, key=lambda use: use.depth)


def _depths(trace: Trace) -> list[int]:
    """Count, for each call of ``trace``, the calls with parameters on the longest chain that leads to it."""
    of_value = [0] * len(trace.values)
    depths = []
    for call in trace.calls:
        before = max((of_value[place] for place in call.inputs), default=0)
        depths.append(before)
        after = before + (1 if call.parameters else 0)
        for place in call.outputs:
            of_value[place] = after
    return depths


def flops(trace: Trace) -> int:
    """Count the FLOPs of one sample: two for each multiply-add of the products whose calls are known."""
    return sum(_flops_of(call, trace) for call in trace.calls)


def _flops_of(call: Call, trace: Trace) -> int:
    output = trace.values[call.outputs[0]].array
    positions = math.prod(output.shape[1:])
    if "kernel" not in call.parameters:
        return 0
    shape = trace.parameters_of(call)["kernel"].shape
    match call.does:
        case kinds.Convolution(transposed=True):
            source = trace.values[call.inputs[0]].array
            return int(2 * math.prod(source.shape[1:]) * math.prod(shape[:-2]) * shape[-1])
        case kinds.Convolution() | kinds.Linear():
            return int(2 * positions * math.prod(shape[:-1]))
        case _:
            return 0
