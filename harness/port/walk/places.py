"""A call in its trace, and the fields in which two calls differ."""

from typing import NamedTuple

import msgspec
import numpy as np

from harness.port.calls import NoReference, compute
from harness.port.cause_kinds import field_text, kind_of
from harness.port.record import Cause
from harness.port.values import ROUNDING, difference, in_shape_of, orders
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace

#: Kinds of causes that change the padding too, where a framework pads to the same size.
LEADING = {"stride", "dilation"}
#: Inputs that differ by less are equal, up to the rounding of earlier calls.
_SAME_INPUT = 1e-6


class Place(NamedTuple):
    """A call of a trace."""

    trace: Trace
    call: Call

    @property
    def inputs(self) -> list[np.ndarray]:
        return [self.trace.values[place].array for place in self.call.inputs]

    @property
    def output(self) -> np.ndarray:
        """The first output."""
        return np.asarray(self.trace.values[self.call.outputs[0]].array)

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        return self.trace.parameters_of(self.call)


def of_semantics(a: Place, b: Place) -> list[Cause]:
    """Find the fields of B's call that change the output of A's call on A's inputs."""
    found = []
    for field in differing_fields(a.call.does, b.call.does):
        own, other = getattr(a.call.does, field), getattr(b.call.does, field)
        changed = msgspec.structs.replace(a.call.does, **{field: other})
        try:
            out: np.ndarray | None = compute(changed, a.inputs, a.parameters)[0]
        except NoReference:
            out = None
        # The order of axes may differ.
        if out is not None and out.shape != a.output.shape:
            out = in_shape_of(out, a.output)
        error = np.inf if out is None else difference(out, a.output)
        if error > ROUNDING:
            kind = kind_of(a.call.does, field, other)
            if kind == "activation" and "identity" in {own, other}:
                kind = "extra call" if own == "identity" else "missing call"
            found.append(
                Cause.at(kind, a.call, b.call, field_text(field, own), field_text(field, other), error)
            )
    leading = {cause.kind for cause in found}
    return [cause for cause in found if cause.kind != "padding" or not leading & LEADING]


def turned(a: Place, b: Place) -> np.ndarray | None:
    """Return A's output with the axes of B's: turned like the inputs where that fits, else by shape."""
    for one, other in zip(a.inputs, b.inputs, strict=False):
        if one.ndim == other.ndim == a.output.ndim:
            for order in orders(one.shape, other.shape):
                if difference(one.transpose(order), other) < _SAME_INPUT:
                    return a.output.transpose(order)
    return in_shape_of(a.output, b.output)


def differing_fields(one: kinds.Semantics, other: kinds.Semantics) -> list[str]:
    """List the fields in which two calls of one kind differ, other than fields of layout."""
    if type(one) is not type(other):
        return []
    return [
        field
        for field in one.__struct_fields__
        if field not in kinds.LAYOUT_FIELDS and getattr(one, field) != getattr(other, field)
    ]
