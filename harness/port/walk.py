"""The walk from input to output: every call whose input is right and whose output is not, and why.

After a cause is found the walk goes on with A's array in the place of B's, so that one fault hides no other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from harness.errors import HarnessError
from harness.port import diagnosis
from harness.port.diagnosis import Edit, Explained, Place, edits_between, is_silent, name_of
from harness.port.findings import Cause, Mode, merged
from harness.port.matching import Matching, PairedUse
from harness.port.values import (
    Segment,
    ValueIndex,
    are_equal,
    difference,
    in_shape_of,
    producers,
    segment_before,
)
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace
from harness.tracing.side import Override

# Differences between unequal numbers of calls: calls that are missing, and one call for several.

#: The kind of cause of calls that stand in the place of others.
REPLACED = "other function"


def edited(edit: Edit, found: Explained, consumer: str) -> Cause:
    """The cause that an edit of B's chain is; ``consumer`` is the layer that comes after it."""
    kind = REPLACED if edit.of_a and edit.of_b else "missing call" if edit.of_a else "extra call"
    proven = found.after is not None and diagnosis.explains(found.after, found.before or 1.0)

    def words(places: list[Place]) -> str:
        return " → ".join(map(_word, places)) or "nothing"

    return Cause(
        kind=kind,
        path_a=edit.of_a[0].call.path if edit.of_a else "",
        path_b=_where(edit, consumer),
        function_a=edit.of_a[0].call.function if edit.of_a else "",
        function_b=edit.of_b[0].call.function if edit.of_b else "",
        a=words(edit.of_a),
        b=words(edit.of_b),
        before=found.before,
        after=found.after if proven else None,
    )


def _word(place: Place) -> str:
    does = place.call.does
    return f"slice {does.index}" if isinstance(does, kinds.Slice) else name_of(does)


def _where(edit: Edit, consumer: str) -> str:
    """B's first call of the edit, and the layer that it comes before."""
    own = edit.of_b[0].call.path if edit.of_b else ""
    return " ".join(filter(None, (own, f"before {consumer}" if consumer and consumer != own else "")))


class Mistake(NamedTuple):
    """A mistake in a single call that gives a value of the other side, and the call that made that."""

    single: Place
    value: int
    other: Call
    kind: str
    texts: tuple[str, str]
    before: float
    after: float


def mistake_in(
    own: Trace, other: Trace, before_own: Segment, before_other: Segment, wanted: int
) -> Mistake | None:
    """A mistake in one call of a side that gives the wanted value of the other, or one on the way to it."""
    makers = {
        value: other.calls[place] for place in before_other.calls for value in other.calls[place].outputs
    }
    for place in before_own.calls:
        single = Place(own, own.calls[place])
        if is_silent(single.call.does):
            continue
        for candidate in dict.fromkeys((wanted, *makers)):
            found = next(diagnosis.mistakes_giving(single, other.values[candidate].array), None)
            if found is None:
                continue
            alternative, before, after = found
            texts = (alternative.own, alternative.other)
            kind = alternative.kind
            if kind == "activation" and "identity" in texts:
                kind = "missing call" if alternative.other == "identity" else "extra call"
            other_call = makers.get(candidate, single.call)
            return Mistake(single, candidate, other_call, kind, texts, before, after)
    return None


def composite_cause(
    kind: str, call_a: Call, call_b: Call, texts: Sequence[str], before: float, after: float
) -> Cause:
    """The cause of a mistake, with the calls of both sides."""
    return Cause(
        kind=kind,
        path_a=call_a.path,
        path_b=call_b.path,
        function_a=call_a.function,
        function_b=call_b.function,
        a=texts[0],
        b=texts[1],
        before=before,
        after=after,
    )


# Borders that a call of their own adds, as the padding of the convolution or pooling that follows.


class Folded(NamedTuple):
    """The trace, and for the place of each call that took in a border the place of the call that added it."""

    trace: Trace
    borders: Mapping[int, int]


def fold_borders(trace: Trace) -> Folded:
    """The same calls; one whose input only gets a border there has that border as its own padding."""
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
            calls[place] = _replaced(call, does, border)
    return Folded(msgspec.structs.replace(trace, calls=calls), borders)


def _replaced(call: Call, does: kinds.AnySemantics, border: Call) -> Call:
    return msgspec.structs.replace(call, does=does, inputs=[border.inputs[0], *call.inputs[1:]])


def _with_border(does: kinds.AnySemantics, border: kinds.Padded) -> kinds.AnySemantics | None:
    """The call with the border as padding; None if that is not the same function."""
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


# The first call of B whose input is right and whose output is not, and why.


class Fault(NamedTuple):
    """Causes, and the arrays that correct them."""

    causes: list[Cause]
    corrections: list[Override]


class TracePair:
    """Two traces of the same inputs; B's with the corrections so far."""

    def __init__(self, trace_a: Trace, index_a: ValueIndex, folded_b: Folded, matching: Matching) -> None:
        self._a, (self._b, self._borders) = trace_a, folded_b
        trace_b = self._b
        self._matching = matching
        self._consumers: dict[int, list[int]] = {}
        for place, call in enumerate(trace_b.calls):
            for value in call.inputs:
                self._consumers.setdefault(value, []).append(place)
        self._in_a: dict[int, list[int]] = {}
        for place, each in enumerate(trace_b.values):
            if each.array.size > 1 and (places := index_a.places_of(each)):
                self._in_a[place] = places
        self._common_a = {place for places in self._in_a.values() for place in places}
        self._cleared: set[int] = set()
        for call in reversed(trace_b.calls):  # those that use a value come after the one that made it
            self._cleared.update(filter(self._leads_to_right_values, call.outputs))

    def first_fault(self, visited: set[tuple[str, int]]) -> Fault | None:
        """The first place that differs; None if there is none, or none that has not been visited."""
        for pair in self._matching.pairs:
            if not are_comparable(pair, self._a, self._b):
                continue
            for fault in (self._before_call(pair, visited), self._in_call(pair, visited)):
                if fault is not None:
                    return fault
        for number, (value_a, value_b) in enumerate(zip(self._a.outputs, self._b.outputs, strict=False)):
            key = ("result", number)
            if key not in visited and not self._equal(value_a, value_b):
                visited.add(key)
                return self._in_segment(value_a, value_b, consumer=None)
        return None

    def _equal(self, value_a: int, value_b: int) -> bool:
        if value_a in self._in_a.get(value_b, ()):
            return True
        return are_equal(self._a.values[value_a].array, self._b.values[value_b].array)

    def _leads_to_right_values(self, value: int) -> bool:
        """Whether each value that is made of this one is right, or leads to right ones."""
        consumers = self._consumers.get(value, [])
        if not consumers or value in self._b.outputs:
            return False
        made = (output for place in consumers for output in self._b.calls[place].outputs)
        return all(output in self._in_a or output in self._cleared for output in made)

    def _is_cleared(self, value: int) -> bool:
        """Whether everything that is made of a value of B is right, as where one side crops later."""
        return value in self._cleared

    def _before_call(self, pair: PairedUse, visited: set[tuple[str, int]]) -> Fault | None:
        """A fault between the last calls with parameters and the inputs of this one."""
        call_a, call_b = self._a.calls[pair.a.place], self._b.calls[pair.b.place]
        for number, (value_a, value_b) in enumerate(zip(call_a.inputs, call_b.inputs, strict=False)):
            key = ("input", 1000 * pair.b.place + number)
            if key in visited or self._equal(value_a, value_b):
                continue
            visited.add(key)
            return self._in_segment(value_a, value_b, consumer=(pair.b.place, number))
        return None

    def _in_call(self, pair: PairedUse, visited: set[tuple[str, int]]) -> Fault | None:
        """A fault of the call itself."""
        a, b = Place(self._a, self._a.calls[pair.a.place]), Place(self._b, self._b.calls[pair.b.place])
        key = ("output", pair.b.place)
        if key in visited or self._equal(a.call.outputs[0], b.call.outputs[0]):
            return None
        if self._is_cleared(b.call.outputs[0]):
            return None
        visited.add(key)
        found = diagnosis.same_kind(a, b) or diagnosis.of_semantics(a, b) or [_unexplained(a, b)]
        return Fault(found, self._output_correction(pair.b.place, a, b))

    def _output_correction(self, place: int, a: Place, b: Place) -> list[Override]:
        array = diagnosis.turned(a, b)
        return [] if array is None else [Override(place, 0, array)]

    def _in_segment(self, value_a: int, value_b: int, consumer: tuple[int, int] | None) -> Fault:
        """A fault among the calls that lead to two values which must be equal."""
        before_a = segment_before(self._a, value_a, lambda place: place in self._common_a)
        before_b = segment_before(self._b, value_b, lambda place: place in self._in_a)
        before_b = self._from_values_of(before_a, value_b) or before_b
        if not before_a.calls and not before_b.calls:  # A's value is in B already, put there for another call
            before_a = segment_before(
                self._a, value_a, lambda place: place != value_a and place in self._common_a
            )
        name = self._b.calls[consumer[0]].path if consumer is not None else ""
        missing = self._missing(value_a, value_b, before_a, before_b, name)
        fault = differing = self._differing_call(before_a, before_b)
        # All of B's calls replaced by A's give A's number, too: a mistake in one call says more than that.
        if fault is None and all(cause.after is not None and cause.kind != REPLACED for cause in missing):
            fault = Fault(missing, [])
        fault = fault or self._composite(value_a, value_b, before_a, before_b) or Fault(missing, [])
        corrections = list(fault.corrections)
        if consumer is not None and (differing is None or not corrections):
            array = in_shape_of(self._a.values[value_a].array, self._b.values[value_b].array)
            place, number = consumer
            place = self._borders.get(place, place) if number == 0 else place
            corrections += [] if array is None else [Override(place, number, array, "input")]
        return Fault(fault.causes, corrections)

    def _from_values_of(self, before_a: Segment, value_b: int) -> Segment | None:
        """B's segment from the values from which A's comes; None if it comes from others, too.

        B may have a value on the way that A has elsewhere, as the last of the steps whose mean A takes.
        """

        def enters(place: int) -> bool:
            return not set(before_a.enters).isdisjoint(self._in_a.get(place, ()))

        segment = segment_before(self._b, value_b, enters)
        return segment if segment.enters and all(map(enters, segment.enters)) else None

    def _differing_call(self, before_a: Segment, before_b: Segment) -> Fault | None:
        """The first call of B with right inputs and a wrong output, where A has one of its kind."""
        for place in before_b.calls:
            b = Place(self._b, self._b.calls[place])
            outputs = b.call.outputs
            if (
                is_silent(b.call.does)
                or not self._inputs_right(b)
                or any(o in self._in_a or self._is_cleared(o) for o in outputs)
            ):
                continue
            for other in before_a.calls:
                a = Place(self._a, self._a.calls[other])
                if is_silent(a.call.does):
                    continue
                if type(a.call.does) is not type(b.call.does) or not self._same_inputs(a, b):
                    continue
                found = diagnosis.flatten_order(a, b) or diagnosis.same_kind(a, b)
                if found:
                    return Fault(found, self._output_correction(place, a, b))
        return None

    def _inputs_right(self, b: Place) -> bool:
        return all(
            place in self._in_a
            or self._b.values[place].source != "call"
            or self._b.values[place].array.size <= 1
            for place in b.call.inputs
        )

    def _same_inputs(self, a: Place, b: Place) -> bool:
        pairs = zip(a.call.inputs, b.call.inputs, strict=False)
        return len(a.call.inputs) == len(b.call.inputs) and all(
            self._equal(one, other) for one, other in pairs
        )

    def _composite(self, value_a: int, value_b: int, before_a: Segment, before_b: Segment) -> Fault | None:
        """One call of a side for several of the other: a mistake in it that gives what they give."""
        mistake = mistake_in(self._a, self._b, before_a, before_b, value_b)
        if mistake is not None:
            single, value, other, kind, texts, before, after = mistake
            cause = composite_cause(kind, single.call, other, texts, before, after)
            return Fault([cause], self._value_correction(value, single.output))
        mistake = mistake_in(self._b, self._a, before_b, before_a, value_a)
        if mistake is not None:
            single, value, other, kind, texts, before, after = mistake
            kind = {"missing call": "extra call", "extra call": "missing call"}.get(kind, kind)
            cause = composite_cause(kind, other, single.call, texts[::-1], before, after)
            right = self._a.values[value].array
            return Fault([cause], self._value_correction(single.call.outputs[0], right))
        return None

    def _value_correction(self, value_b: int, right: np.ndarray) -> list[Override]:
        place = producers(self._b).get(value_b)
        array = in_shape_of(right, self._b.values[value_b].array)
        if place is None or array is None:
            return []
        return [Override(place, self._b.calls[place].outputs.index(value_b), array)]

    def _missing(
        self, value_a: int, value_b: int, before_a: Segment, before_b: Segment, consumer: str
    ) -> list[Cause]:
        """Calls that one side alone has between the common values."""
        found = edits_between(self._a, self._b, before_a, before_b, value_a, value_b)
        return [edited(edit, found, consumer) for edit in found.edits] or [
            Cause(kind="unexplained", path_a="", path_b=consumer, before=found.before)
        ]


def are_comparable(pair: PairedUse, trace_a: Trace, trace_b: Trace) -> bool:
    """Whether the two calls stand for each other as wholes."""
    a, b = trace_a.calls[pair.a.place].does, trace_b.calls[pair.b.place].does
    pointwise = {type(a), type(b)} <= {kinds.Linear, kinds.Convolution}
    return type(a) is type(b) or pointwise


def _unexplained(a: Place, b: Place) -> Cause:
    wanted = in_shape_of(a.output, b.output)
    return Cause(
        kind="unexplained" if wanted is not None else "shape",
        path_a=a.call.path,
        path_b=b.call.path,
        function_a=a.call.function,
        function_b=b.call.function,
        a="" if wanted is not None else str(a.output.shape[1:]),
        b="" if wanted is not None else str(b.output.shape[1:]),
        before=None if wanted is None else difference(b.output, wanted),
    )


#: Faults that one walk corrects; a model has fewer, or nothing in it is right.
_MOST_FAULTS = 60


class Traced(Protocol):
    """What the walk needs of B."""

    def trace(
        self, inputs: Sequence[np.ndarray], *, training: bool, overrides: Sequence[Override] = ()
    ) -> Trace:
        """Evaluate."""
        ...


def walk(
    b: Traced,
    trace_a: Trace,
    inputs: Sequence[np.ndarray],
    matching: Matching,
    *,
    training: bool,
    trace_b: Trace | None = None,
) -> list[Cause]:
    """All causes of differences between A's evaluation and B's of the same inputs.

    ``trace_b`` is B's evaluation, if there is one already.
    """
    mode: Mode = "training" if training else "evaluation"
    trace_a = fold_borders(trace_a).trace
    index = ValueIndex(trace_a)
    folded_b = None if trace_b is None else fold_borders(trace_b)
    found: list[Cause] = []
    overrides: list[Override] = []
    visited: set[tuple[str, int]] = set()
    for _ in range(_MOST_FAULTS):
        try:
            if folded_b is None or overrides:
                folded_b = fold_borders(b.trace(inputs, training=training, overrides=overrides))
        except HarnessError:  # A's array does not fit what follows, as where a stride moved
            if folded_b is None:
                raise
            found += _by_semantics(trace_a, folded_b.trace, matching, visited, mode)
            break
        fault = TracePair(trace_a, index, folded_b, matching).first_fault(visited)
        if fault is None:
            break
        for cause in fault.causes:
            cause.mode = mode
            found.append(cause)
        overrides += fault.corrections
    return merged(found)


def _by_semantics(
    trace_a: Trace, trace_b: Trace, matching: Matching, visited: set[tuple[str, int]], mode: Mode
) -> list[Cause]:
    """Faults of the calls that the walk did not reach, each on A's inputs alone."""
    found: list[Cause] = []
    for pair in matching.pairs:
        if ("output", pair.b.place) in visited or not are_comparable(pair, trace_a, trace_b):
            continue
        a, b = Place(trace_a, trace_a.calls[pair.a.place]), Place(trace_b, trace_b.calls[pair.b.place])
        for cause in diagnosis.of_semantics(a, b):
            cause.mode = mode
            found.append(cause)
    return found
