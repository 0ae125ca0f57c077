"""Borders added by a separate call, folded into the padding of the convolution or pooling that follows."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from harness.port.walk.segments import producers
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace


class Folded(NamedTuple):
    """A trace, and the place of the call that added a border by the place of the call that took it in."""

    trace: Trace
    borders: Mapping[int, int]


def fold_borders(trace: Trace) -> Folded:
    """Fold the border that a call adds into the padding of the call that follows."""
    made_by = producers(trace)
    borders: dict[int, int] = {}
    calls = list(trace.calls)
    for place, call in enumerate(trace.calls):
        border_place = made_by.get(call.inputs[0]) if call.inputs else None
        if border_place is None:
            continue
        border = trace.calls[border_place]
        does = _with_border(call.does, border.does) if isinstance(border.does, kinds.Padded) else None
        if does is not None:
            borders[place] = border_place
            inputs = [border.inputs[0], *call.inputs[1:]]
            calls[place] = msgspec.structs.replace(call, does=does, inputs=inputs)
    return Folded(msgspec.structs.replace(trace, calls=calls), borders)


def _with_border(does: kinds.AnySemantics, border: kinds.Padded) -> kinds.AnySemantics | None:
    """Return the call ``does`` with ``border`` as padding; None if the function would differ."""
    if border.mode != "constant":
        return None
    if isinstance(does, kinds.Convolution) and border.value == 0.0 and not does.transposed:
        return _widened(does, border)
    if isinstance(does, kinds.Pooling):
        padded = any(map(any, does.padding))
        if does.function == "max" and border.value == -math.inf:
            return _widened(does, border)
        if does.function == "mean" and border.value == 0.0 and (not padded or does.counts_padding):
            return _widened(msgspec.structs.replace(does, counts_padding=True), border)
    return None


def _widened(
    does: kinds.Convolution | kinds.Pooling, border: kinds.Padded
) -> kinds.Convolution | kinds.Pooling | None:
    count = len(does.padding)
    spatial = slice(2, 2 + count) if does.channels_first else slice(1, 1 + count)
    others = [*border.padding[: spatial.start], *border.padding[spatial.stop :]]
    if len(border.padding) != count + 2 or any(map(any, others)):
        return None
    pairs = zip(does.padding, border.padding[spatial], strict=True)
    padding = tuple((low + more_low, high + more_high) for (low, high), (more_low, more_high) in pairs)
    return msgspec.structs.replace(does, padding=padding)
