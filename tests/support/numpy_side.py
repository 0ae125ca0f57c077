"""A side without a framework: a chain of calls, computed by the formulas of the harness."""

import numpy as np

from harness.reference.calls import compute
from harness.tracing.calls import Call, Stored, Trace, Value


class NumpySide:
    """``calls`` are (path, semantics, canonical parameters); a call gets the output of the one before."""

    def __init__(self, *calls):
        self.calls = calls
        self.loaded = {
            f"{path}.{role}": np.array(array)
            for path, _, parameters in calls
            for role, array in parameters.items()
        }

    def load(self, parameters):
        self.loaded |= parameters

    def trace(self, inputs, *, training, overrides=()):
        values, calls = [Value("input", inputs[0])], []
        current = 0
        for place, (path, does, parameters) in enumerate(self.calls):
            given = {(each.call, each.of): each.array for each in overrides}
            if (place, "input") in given:
                values.append(Value("call", given[place, "input"]))
                current = len(values) - 1
            stored = {role: Stored(f"{path}.{role}") for role in parameters}
            arrays = {role: self.loaded[each.name] for role, each in stored.items()}
            values += [Value("parameter", self.loaded[each.name], each.name) for each in stored.values()]
            out = compute(does, [values[current].array], arrays)[0]
            values.append(Value("call", given.get((place, "output"), out)))
            function = type(does).__name__.lower()
            calls.append(
                Call(
                    path=path,
                    function=function,
                    does=does,
                    inputs=[current],
                    outputs=[len(values) - 1],
                    parameters=stored,
                )
            )
            current = len(values) - 1
        return Trace(values, calls, [0], [current])
