"""Whether the calls of a trace are what NumPy's formulas say."""

import numpy as np

from harness.port.calls import NoReference, compute
from harness.tracing import semantics as kinds


def _expected(trace, call):
    """The outputs by the formula, or by indexing and reshaping."""
    inputs = [trace.values[place].array for place in call.inputs]
    if isinstance(call.does, kinds.Slice):  # the index is text of Python
        return [eval(f"x{call.does.index}", {"x": inputs[0]})]  # noqa: S307
    if isinstance(call.does, kinds.Reshape):  # of the batch too, in a layer that is applied to each step
        return [inputs[0].reshape(-1, *call.does.shape)]
    return compute(call.does, inputs, trace.parameters_of(call))


def problem_of(trace, call):
    """Why a call is not confirmed: it has no formula, or gave another shape or other numbers."""
    try:
        wanted = _expected(trace, call)
    except NoReference as reason:
        return f"{call.function} {call.does}: no formula: {reason}"
    for place, array in zip(call.outputs, wanted, strict=False):
        found = trace.values[place].array
        if found.shape != array.shape:
            return f"{call.function} {call.does}: {found.shape} for {array.shape}"
        if not np.allclose(found, array, 1e-12, 1e-12):
            return f"{call.function} {call.does}: {np.abs(found - array).max():.1e}"
    return None
