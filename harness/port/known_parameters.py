"""Parameters of a side that both ends of its pipe know, and that need not travel with each trace."""

from collections.abc import Mapping

import numpy as np

from harness.tracing.calls import Trace, Value


class Sent:
    """At the side's end: how to recognise the parameters that the harness has."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[str, tuple[int, ...], bytes]] = {}

    def add(self, parameters: Mapping[str, np.ndarray]) -> None:
        """The harness has these now."""
        self._marks |= {name: _mark(array) for name, array in parameters.items()}

    def left_out(self, trace: Trace) -> Trace:
        """The trace without the arrays of parameters that are as the harness knows them."""
        for value in trace.values:
            if value.source == "parameter" and self._marks.get(value.name) == _mark(value.array):
                value.array = None
        return trace


def _mark(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """Type, shape and norm: a model that changes its own parameters, as to limit them, changes the norm."""
    flat = np.ascontiguousarray(array).reshape(-1)
    norm = np.vdot(flat, flat) if flat.dtype.kind == "f" else flat
    return array.dtype.str, array.shape, norm.tobytes()


def filled_in(trace: Trace, parameters: Mapping[str, np.ndarray]) -> Trace:
    """At the harness's end: the trace with the arrays that were left out."""
    for value in trace.values:
        if value.array is None:
            value.array = parameters[value.name]
    return trace


def outputs_of(trace: Trace) -> Trace:
    """A trace of the outputs alone."""
    outputs = [trace.values[place] for place in trace.outputs]
    return Trace([Value("call", each.array, each.name) for each in outputs], [], [], [*range(len(outputs))])
