"""Recurrent layers of one side as the steps of which they consist, where the other side has a loop.

A fused layer is one call. Where the other side has no such layer, it is replaced by the calls of its steps,
computed in plain NumPy, so that one step is compared with one step.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from harness.port.calls import NoReference, compute
from harness.port.values import are_equal
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Role, Stored, Trace, Value
from harness.tracing.functions import sliced

#: A layer of more steps stays one call.
_MOST_STEPS = 500
_SEQUENCE = 3


def level(trace_a: Trace, trace_b: Trace) -> tuple[Trace, Trace]:
    """Return both traces with those recurrent layers unfolded that the other side lacks."""
    counts = [Counter(map(_shapes_of, dict(_layers(trace)).values())) for trace in (trace_a, trace_b)]
    extra_a, extra_b = counts[0] - counts[1], counts[1] - counts[0]
    return _unfolded(trace_a, extra_a.keys(), trace_b), _unfolded(trace_b, extra_b.keys(), trace_a)


def _layers(trace: Trace) -> Iterator[tuple[str, tuple[Trace, Call]]]:
    """Yield the recurrent layers and cells by their parameters."""
    for call in trace.calls:
        if isinstance(call.does, kinds.Recurrent):
            yield repr(sorted(call.parameters.items())), (trace, call)


def _shapes_of(layer: tuple[Trace, Call]) -> tuple[object, ...]:
    trace, call = layer
    shapes = {role: each.shape for role, each in trace.parameters_of(call).items() if "bias" not in role}
    return (call.does.cell, *sorted(shapes.items()))  # type: ignore[attr-defined]


def _unfolded(trace: Trace, extra: Collection[object], other: Trace) -> Trace:
    if not extra:
        return trace
    made = _Unfolding(trace, other)
    for call in trace.calls:
        if isinstance(call.does, kinds.Recurrent) and _shapes_of((trace, call)) in extra:
            made.unfold(call, call.does)
        else:
            made.calls.append(call)
    return msgspec.structs.replace(trace, values=made.values, calls=made.calls)


class _Unfolding:
    """The values and calls of a trace while some calls become several."""

    def __init__(self, trace: Trace, other: Trace) -> None:
        self._stored, self._other = trace.stored(), other
        self.values, self.calls = list(trace.values), list[Call]()
        self._call = Call(path="", function="", does=kinds.Opaque(function=""), inputs=[], outputs=[])

    def unfold(self, call: Call, does: kinds.Recurrent) -> None:
        """Add the steps of ``call``, or the call itself if they do not give its results."""
        counts, self._call = (len(self.values), len(self.calls)), call
        try:
            made = self._steps(does)
        except NoReference:
            made = []
        found = {output: self._find(output, made) for output in call.outputs}
        if None in found.values():
            del self.values[counts[0] :], self.calls[counts[1] :]
            self.calls.append(call)
            return
        # What follows uses the results of the layer as the framework made them.
        renamed: dict[int | None, int] = {place: output for output, place in reversed(found.items())}
        for each in self.calls[counts[1] :]:
            each.inputs = [renamed.get(place, place) for place in each.inputs]
            each.outputs = [renamed.get(place, place) for place in each.outputs]
        for output, place in found.items():
            if renamed[place] != output:  # the last step is also the last state
                same = kinds.Activation(function="identity")
                self.calls.append(
                    msgspec.structs.replace(
                        call, does=same, inputs=[renamed[place]], outputs=[output], parameters={}
                    )
                )

    def _find(self, output: int, made: Sequence[int]) -> int | None:
        wanted = self.values[output].array
        return next((place for place in made if are_equal(self.values[place].array, wanted)), None)

    def _add(self, does: kinds.AnySemantics, *inputs: int, **stored: Stored | None) -> int:
        """Add a call of these values and parameters; return the place of its result."""
        parameters: Mapping[Role, Stored] = {role: each for role, each in stored.items() if each is not None}
        canonical = {role: each.canonical(self._stored[each.name]) for role, each in parameters.items()}
        (array,) = compute(does, [self.values[place].array for place in inputs], canonical)
        self.values.append(Value("call", array))
        place, own = len(self.values) - 1, self._call
        self.calls.append(
            msgspec.structs.replace(
                own, does=does, inputs=list(inputs), outputs=[place], parameters=dict(parameters)
            )
        )
        return place

    def _steps(self, does: kinds.Recurrent) -> list[int]:
        """Add all steps; return the places of what the layer may return: its outputs and last states."""
        x, *states = self._call.inputs
        array = self.values[x].array
        is_cell = array.ndim < _SEQUENCE
        count = 1 if is_cell else array.shape[1 if does.batch_first else 0]
        if does.masked or count > _MOST_STEPS:
            raise NoReference("a layer with a mask, or of very many steps")
        state = states or self._zeros(does, array)
        outputs, cell = {}, _CELLS[does.cell]
        for step in range(count)[:: -1 if does.reverse else 1]:
            parts = [":", str(step)] if does.batch_first else [str(step), ":"]
            now = x if is_cell else self._add(sliced([*parts, ":"]), x)
            state = cell(self, does, now, *state)
            outputs[step] = state[0]
        if is_cell or does.returns == "last":
            return [*state]
        parts = [":", "None"] if does.batch_first else ["None", ":"]
        apart = [self._add(sliced([*parts, ":"]), outputs[step]) for step in sorted(outputs)]
        steps = self._add(kinds.Concatenation(axis=-2 if does.batch_first else -3), *apart)
        return [steps, *state]

    def _zeros(self, does: kinds.Recurrent, x: np.ndarray) -> list[int]:
        recurrent = self._call.parameters[f"recurrent_{kinds.GATES[does.cell][0]}"]
        units = recurrent.canonical(self._stored[recurrent.name]).shape[0]
        batch = len(x) if does.batch_first or x.ndim < _SEQUENCE else x.shape[1]
        self.values.append(Value("constant", np.zeros((batch, units))))
        return [len(self.values) - 1] * (2 if does.cell == "lstm" else 1)

    # The formulas of the cells; see the semantics.

    def _products(self, x: int, h: int) -> tuple[dict[str, int], dict[str, int]]:
        """Add the products of the input and of the state for all gates whose state is not reset before."""
        roles = self._call.parameters
        gates = [role.removeprefix("kernel_") for role in roles if role.startswith("kernel_")]  # as stored
        of_x = {
            gate: self._add(kinds.Linear(), x, kernel=roles[f"kernel_{gate}"], bias=roles.get(f"bias_{gate}"))
            for gate in gates
        }
        return of_x, {gate: self._of_state(gate, h) for gate in gates if gate != self._reset}

    def _of_state(self, gate: str, h: int) -> int:
        roles = self._call.parameters
        bias, kernel = roles.get(f"recurrent_bias_{gate}"), roles[f"recurrent_{gate}"]
        place = self._add(kinds.Linear(), h, kernel=kernel, bias=bias)
        if self._bias_is_second(kernel):
            del self.calls[-1].parameters["bias"]
        return place

    def _bias_is_second(self, kernel: Stored) -> bool:
        """Check that the other side has one bias, so that this side's second bias is kept at zero."""
        if "bias" not in self.calls[-1].parameters or self._call.does.cell == "gru":  # type: ignore[attr-defined]
            return False
        units = len(kernel.canonical(self._stored[kernel.name]))
        products = [call for call in self._other.calls if isinstance(call.does, kinds.Linear)]
        shapes = [
            self._other.parameters_of(call)["kernel"].shape
            for call in products
            if "bias" not in call.parameters
        ]
        return any(rows == units and columns % units == 0 for rows, columns in shapes)

    @property
    def _reset(self) -> str:
        """The gate whose state is reset before the product."""
        return "n" if not getattr(self._call.does, "reset_after", True) else ""

    def _both(self, function: str, one: int, other: int) -> int:
        return self._add(kinds.Arithmetic(function=function), one, other)

    def _bent(self, function: str, x: int) -> int:
        return self._add(kinds.Activation(function=function), x)

    def _gate(self, function: str, *products: int) -> int:
        return self._bent(function, self._both("add", *products))

    def rnn(self, does: kinds.Recurrent, x: int, h: int) -> list[int]:
        of_x, of_h = self._products(x, h)
        return [self._gate(does.activation, of_x["h"], of_h["h"])]

    def gru(self, does: kinds.Recurrent, x: int, h: int) -> list[int]:
        of_x, of_h = self._products(x, h)
        r, z = (self._gate(does.recurrent_activation, of_x[gate], of_h[gate]) for gate in "rz")
        inner = (
            self._both("multiply", r, of_h["n"])
            if does.reset_after
            else self._of_state("n", self._both("multiply", r, h))
        )
        n = self._gate(does.activation, of_x["n"], inner)
        rest = self._add(kinds.Arithmetic(function="subtract", constant=1.0, constant_first=True), z)
        return [self._both("add", self._both("multiply", rest, n), self._both("multiply", z, h))]

    def lstm(self, does: kinds.Recurrent, x: int, h: int, c: int) -> list[int]:
        of_x, of_h = self._products(x, h)
        i, f, o = (self._gate(does.recurrent_activation, of_x[gate], of_h[gate]) for gate in "ifo")
        g = self._gate(does.activation, of_x["g"], of_h["g"])
        c = self._both("add", self._both("multiply", f, c), self._both("multiply", i, g))
        return [self._both("multiply", o, self._bent(does.activation, c)), c]


_CELLS: dict[str, Callable[..., list[int]]] = {
    "rnn": _Unfolding.rnn,
    "gru": _Unfolding.gru,
    "lstm": _Unfolding.lstm,
}
