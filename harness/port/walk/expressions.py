"""Expressions: the calls that lead to a value from values that both sides have."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from harness.port.call_mistakes import Alternative
from harness.port.calls import NoReference, compute
from harness.port.cause_kinds import text
from harness.port.values import are_equal, orders
from harness.port.walk.segments import Segment, producers
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace

#: The place of another array: a value, or one input of a call.
Slot = int | tuple[int, int]
#: The count of numbers computed in the search for one difference, and the overhead of a call as such a count.
_MOST_NUMBERS, _OF_A_CALL = 2e8, 4e3
_MOST_FORMS = 6
_MOST_CALLS_SHOWN, _MOST_LETTERS = 6, 120
_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


def name_of(does: kinds.Semantics) -> str:
    """Name the function of a call in a word."""
    for field in ("function", "cell"):
        if isinstance(value := getattr(does, field, None), str):
            return value
    return type(does).__name__.lower()


def is_silent(does: kinds.Semantics) -> bool:
    """Check that a call changes no number: dropout, which is off, or the identity."""
    return isinstance(does, kinds.Dropout) or (
        isinstance(does, kinds.Activation) and does.function == "identity"
    )


class Budget:
    """The count of numbers that a search may still compute."""

    def __init__(self) -> None:
        self._left = _MOST_NUMBERS

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def renew(self) -> None:
        self._left = _MOST_NUMBERS

    def end_soon(self) -> None:
        """Shorten the search once there is a result."""
        self._left = min(self._left, _MOST_NUMBERS / 10)

    def spend(self, numbers: float) -> None:
        """Count the ``numbers`` that a call computed, and its overhead, which is that of some thousands."""
        self._left -= numbers + _OF_A_CALL


Given = Mapping[Slot, np.ndarray]
NOTHING: Given = {}
NO_CALLS: Mapping[int, Alternative] = {}


class Calls:
    """The calls of a trace, shared by its expressions."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.made_by = producers(trace)
        self._parameters: dict[int, dict[str, np.ndarray]] = {}

    def parameters(self, call: int) -> dict[str, np.ndarray]:
        if call not in self._parameters:
            self._parameters[call] = self.trace.parameters_of(self.trace.calls[call])
        return self._parameters[call]


class Expression:
    """The calls of a segment of a trace, in their order, and the value that they lead to."""

    def __init__(self, source: Calls, segment: Segment, end: int, budget: Budget) -> None:
        self.trace, self.calls, self.end, self.budget = source.trace, segment.calls, end, budget
        self.enters = segment.enters
        self.parameters = source.parameters
        self._source, self._made_by = source, source.made_by
        self._inside = set(self.calls)

    def array(self, value: int) -> np.ndarray:
        return np.asarray(self.trace.values[value].array)

    @property
    def result(self) -> np.ndarray:
        return self.array(self.end)

    def is_table(self, value: int) -> bool:
        """Check that ``value`` is a constant array."""
        held = self.trace.values[value]
        return held.source == "constant" and held.array.size > 1

    def before(self, value: int) -> list[int]:
        """List the calls of the expression that lead to ``value``."""
        found: set[int] = set()
        queue = [value]
        while queue:
            call = self._made_by.get(queue.pop())
            if call in self._inside and call not in found:
                found.add(call)
                queue += self.trace.calls[call].inputs
        return sorted(found)

    def up_to(self, value: int) -> "Expression":
        """Return the part that leads to ``value``."""
        calls = self.before(value)
        used = {source for call in calls for source in self.trace.calls[call].inputs} or {value}
        made = {output for call in calls for output in self.trace.calls[call].outputs}
        enters = [
            place for place in sorted(used - made) if self.trace.values[place].source in {"call", "input"}
        ]
        return Expression(self._source, Segment(calls, enters), value, self.budget)

    def after(self, value: int) -> "Expression":
        """Return the part that ``value`` enters and that leads to the end."""
        earlier = set(self.before(value))
        calls = [call for call in self.calls if call not in earlier]
        reached = {value}
        for call in calls:
            if not reached.isdisjoint(self.trace.calls[call].inputs):
                reached.update(self.trace.calls[call].outputs)
        calls = [call for call in calls if not reached.isdisjoint(self.trace.calls[call].outputs)]
        return Expression(self._source, Segment(calls, [value]), self.end, self.budget)

    def empty(self) -> "Expression":
        """Return the expression without calls: the end alone."""
        return Expression(self._source, Segment([], [self.end]), self.end, self.budget)

    def begins_with(self, array: np.ndarray) -> bool:
        """Check that a value that enters has the numbers of ``array``."""
        return any(are_equal(self.array(value), array) for value in self.sources())

    def with_last_call(self) -> "Expression":
        """Return the expression of the call that made the end; itself if no call did."""
        call = self._made_by.get(self.end)
        if call is None:
            return self
        enters = [
            value
            for value in self.trace.calls[call].inputs
            if self.trace.values[value].source in {"call", "input"}
        ]
        return Expression(self._source, Segment([call], enters), self.end, self.budget)

    def made(self) -> list[int]:
        """List the first output of each call, in order."""
        return [self.trace.calls[call].outputs[0] for call in self.calls]

    def sources(self) -> list[int]:
        """List the values that enter, including constants and parameters."""
        made = {output for call in self.calls for output in self.trace.calls[call].outputs}
        used = (source for call in self.calls for source in self.trace.calls[call].inputs)
        return [source for source in dict.fromkeys(used) if source not in made]

    def stored(self) -> list[str]:
        """Name the arrays of the model that the calls use."""
        calls = [self.trace.calls[call] for call in self.calls]
        values = [self.trace.values[value] for call in calls for value in call.inputs]
        return [
            *(stored.name for call in calls for stored in call.parameters.values()),
            *(value.name for value in values if value.source == "parameter"),
        ]

    def source_of(self, value: int) -> Call | None:
        call = self._made_by.get(value)
        return None if call is None else self.trace.calls[call]

    def consumers(self, value: int) -> list[tuple[int, int]]:
        """List the calls that use ``value``, with its places among their inputs."""
        return [
            (call, number)
            for call in self.calls
            for number, source in enumerate(self.trace.calls[call].inputs)
            if source == value
        ]

    def computed(
        self, given: Given = NOTHING, changed: Mapping[int, Alternative] = NO_CALLS
    ) -> np.ndarray | None:
        """Compute the end with the arrays ``given`` and the calls ``changed``; None without a formula."""
        return None if self.budget.is_spent else self.values(given, changed).get(self.end)

    def values(
        self, given: Given = NOTHING, changed: Mapping[int, Alternative] = NO_CALLS
    ) -> dict[int, np.ndarray | None]:
        """Compute the values that ``given`` arrays and ``changed`` calls affect; None without a formula."""
        arrays: dict[int, np.ndarray | None] = {
            slot: each for slot, each in given.items() if isinstance(slot, int)
        }
        given_calls = {slot[0] for slot in given if not isinstance(slot, int)}
        for place in self.calls:
            call = self.trace.calls[place]
            is_changed = place in changed or place in given_calls or not arrays.keys().isdisjoint(call.inputs)
            if not is_changed or any(output in given for output in call.outputs):
                continue
            known = [
                given.get((place, number), arrays[source] if source in arrays else self.array(source))
                for number, source in enumerate(call.inputs)
            ]
            # Only the first output of a call has a formula.
            arrays.update(dict.fromkeys(call.outputs))
            inputs = [each for each in known if each is not None]
            if len(inputs) < len(known):
                continue
            try:
                if place in changed:
                    with np.errstate(all="ignore"):
                        out = changed[place].output(inputs)
                else:
                    out = compute(call.does, inputs, self.parameters(place))[0]
            except (NoReference, ValueError, IndexError):
                continue
            kernel = self.parameters(place).get("kernel")
            products = kernel.size / kernel.shape[-1] if kernel is not None else 1.0  # for each number
            self.budget.spend(float(out.size * products))
            arrays[call.outputs[0]] = out
        return arrays

    def text(self) -> str:
        """Format the calls as a formula, or as a chain if each call has one input."""
        if all(len(self.trace.calls[call].inputs) == 1 for call in self.calls):
            return " → ".join(self._word(call) for call in self.sounding()) or "nothing"
        formulas = (self._formula(self.end, depth) for depth in range(_MOST_CALLS_SHOWN, 0, -1))
        return next((each for each in formulas if len(each) <= _MOST_LETTERS), "…")

    def sounding(self) -> list[int]:
        """List the calls that change numbers; if there are none, the calls that only move them."""
        audible = [call for call in self.calls if not is_silent(self.trace.calls[call].does)]
        moving = (kinds.Reshape, kinds.Transposition)
        return [call for call in audible if not isinstance(self.trace.calls[call].does, moving)] or audible

    def name(self, value: int) -> str:
        """Name a value: by its parameter, as a part of another value, or by the layer that made it."""
        held = self.trace.values[value]
        call = self._made_by.get(value)
        if held.name or call is None:
            shape = "×".join(map(str, held.array.shape))
            ends = np.ravel(held.array)[[0, -1]]
            table = f"table {shape} of {' … '.join(text(float(each)) for each in ends)}"
            return held.name or (table if held.array.size > 1 else text(float(ends[0])))
        made = self.trace.calls[call]
        if isinstance(made.does, kinds.Slice):
            return f"{self.name(made.inputs[0])}{made.does.index}"
        if isinstance(made.does, kinds.Reshape | kinds.Transposition):
            return self.name(made.inputs[0])
        return made.path or name_of(made.does)

    def _word(self, call: int) -> str:
        does = self.trace.calls[call].does
        if isinstance(does, kinds.Slice):
            return f"slice {does.index}"
        constant = getattr(does, "constant", None)
        return name_of(does) if constant is None else f"{name_of(does)} {text(constant)}"

    def _formula(self, value: int, depth: int) -> str:
        call = self._made_by.get(value)
        if call not in self._inside:
            return self.name(value)
        if not depth:
            return "…"
        does = self.trace.calls[call].does
        parts = [self._formula(each, depth - 1) for each in self.trace.calls[call].inputs]
        if isinstance(does, kinds.Slice):
            return f"{parts[0]}{does.index}"
        if isinstance(does, kinds.Arithmetic) and does.function in _INFIX:
            if does.constant is not None:
                parts.insert(0 if does.constant_first else 1, text(does.constant))
            return f"({f' {_INFIX[does.function]} '.join(parts)})"
        return f"{name_of(does)}({', '.join(parts)})"


def forms(array: np.ndarray, like: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``array`` with its axes in each order that has the shape of ``like``."""
    if array.shape == like.shape:
        yield array
    found = False
    for order in itertools.islice(orders(array.shape, like.shape), _MOST_FORMS):
        found = True
        if order != tuple(range(array.ndim)):
            yield array.transpose(order)
    if not found and array.size == like.size:
        yield array.reshape(like.shape)
