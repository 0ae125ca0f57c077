"""Sides without a framework: calls that are computed by the formulas of the harness."""

import numpy as np

from harness.port.calls import compute
from harness.tracing.calls import Call, Stored, Trace, Value
from harness.tracing.semantics import Opaque


class NumpyGraph:
    """``graph`` are (path, semantics, sources, canonical parameters).

    A source is an input or an earlier call by its number, or a constant. A call without a formula is given by
    a function in the place of its semantics.
    """

    def __init__(self, *graph):
        self.graph = graph
        self.loaded = {
            f"{path}.{role}": np.array(array)
            for path, _, _, parameters in graph
            for role, array in parameters.items()
        }

    def load(self, parameters):
        self.loaded |= parameters

    def trace(self, inputs, *, training, overrides=()):
        given = {(each.call, each.of, each.place): each.array for each in overrides}
        values = [Value("input", *each) for each in zip(inputs, ("first", "second"), strict=False)]
        results, calls = list(range(len(inputs))), []
        for number, (path, does, sources, parameters) in enumerate(self.graph):
            used = []
            for source in sources:
                is_constant = isinstance(source, np.ndarray)
                values += [Value("constant", source)] if is_constant else []
                used.append(len(values) - 1 if is_constant else results[source])
            arrays = [given.get((number, "input", n), values[each].array) for n, each in enumerate(used)]
            stored = {role: Stored(f"{path}.{role}") for role in parameters}
            held = {role: self.loaded[each.name] for role, each in stored.items()}
            values += [Value("parameter", held[role], each.name) for role, each in stored.items()]
            out = does(*arrays) if callable(does) else compute(does, arrays, held)[0]
            values.append(Value("call", given.get((number, "output", 0), out)))
            results.append(len(values) - 1)
            described = Opaque(function="own") if callable(does) else does
            call = Call(path=path, function="", does=described, inputs=used, outputs=[results[-1]])
            call.function, call.line = type(described).__name__.lower(), f"model.py:{number + 1}"
            call.parameters = stored
            calls.append(call)
        return Trace(values, calls, list(range(len(inputs))), [results[-1]])


class NumpySide(NumpyGraph):
    """``calls`` are (path, semantics, canonical parameters); a call gets the output of the one before."""

    def __init__(self, *calls):
        super().__init__(*((path, does, [n], held) for n, (path, does, held) in enumerate(calls)))
        self.calls = calls
