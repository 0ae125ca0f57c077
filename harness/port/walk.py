"""The walk from input to output: every call whose input is right and whose output is not, and why.

After a cause is found the walk goes on as if the call were mended: A's array replaces B's.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from harness.port import diagnosis
from harness.port.diagnosis import Place
from harness.port.findings import Cause, Mode
from harness.port.matching import Matching, PairedUse
from harness.port.segments import Segment, segment_before
from harness.port.values import ValueIndex, are_equal, difference, in_shape_of
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace
from harness.tracing.side import Override

#: Faults that are mended in one walk; a model has fewer, or nothing in it is right.
_MOST_FAULTS = 60


class Traced(Protocol):
    """What the walk needs of B."""

    def trace(
        self, inputs: Sequence[np.ndarray], *, training: bool, overrides: Sequence[Override] = ()
    ) -> Trace:
        """Evaluate."""
        ...


class _Fault(NamedTuple):
    """Causes, and what mends them."""

    causes: list[Cause]
    mends: list[Override]


class _Anchor(NamedTuple):
    """Values of both sides that must be equal, and by which calls they are made or consumed."""

    value_a: int
    value_b: int
    pair: PairedUse | None


def walk(
    b: Traced, trace_a: Trace, inputs: Sequence[np.ndarray], matching: Matching, *, training: bool
) -> list[Cause]:
    """All causes of differences between A's evaluation and B's of the same inputs."""
    mode: Mode = "training" if training else "evaluation"
    found: list[Cause] = []
    overrides: list[Override] = []
    visited: set[tuple[str, int]] = set()
    for _ in range(_MOST_FAULTS):
        trace_b = b.trace(inputs, training=training, overrides=overrides)
        fault = _Comparison(trace_a, trace_b, matching).first_fault(visited)
        if fault is None:
            break
        for cause in fault.causes:
            cause.mode = mode
            found.append(cause)
        overrides += fault.mends
    return merged(found)


class _Comparison:
    """Two traces of the same inputs; B's with what has been mended."""

    def __init__(self, trace_a: Trace, trace_b: Trace, matching: Matching) -> None:
        self._a, self._b = trace_a, trace_b
        self._matching = matching
        index = ValueIndex(trace_a)
        self._in_a: dict[int, list[int]] = {}
        for place, value in enumerate(trace_b.values):
            if value.array.size > 1 and (places := index.find_all(value.array)):
                self._in_a[place] = places
        self._common_a = {place for places in self._in_a.values() for place in places}

    def first_fault(self, visited: set[tuple[str, int]]) -> _Fault | None:
        """The first place that differs; None if there is none, or none that has not been visited."""
        for pair in self._matching.pairs:
            if not _comparable(pair, self._a, self._b):
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

    def _before_call(self, pair: PairedUse, visited: set[tuple[str, int]]) -> _Fault | None:
        """A fault between the last calls with parameters and the inputs of this one."""
        call_a, call_b = self._a.calls[pair.a.place], self._b.calls[pair.b.place]
        for number, (value_a, value_b) in enumerate(zip(call_a.inputs, call_b.inputs, strict=False)):
            key = ("input", 1000 * pair.b.place + number)
            if key in visited or self._equal(value_a, value_b):
                continue
            visited.add(key)
            return self._in_segment(value_a, value_b, consumer=(pair.b.place, number))
        return None

    def _in_call(self, pair: PairedUse, visited: set[tuple[str, int]]) -> _Fault | None:
        """A fault of the call itself."""
        a, b = Place(self._a, self._a.calls[pair.a.place]), Place(self._b, self._b.calls[pair.b.place])
        key = ("output", pair.b.place)
        if key in visited or self._equal(a.call.outputs[0], b.call.outputs[0]):
            return None
        visited.add(key)
        found = diagnosis.same_kind(a, b) or [_unexplained(a, b)]
        return _Fault(found, self._output_mend(pair.b.place, a, b))

    def _output_mend(self, place: int, a: Place, b: Place) -> list[Override]:
        mended = self._oriented(a, b)
        return [] if mended is None else [Override(place, 0, mended)]

    def _oriented(self, a: Place, b: Place) -> np.ndarray | None:
        """A's output with its axes as those of B: turned as the inputs are, where that fits."""
        out, wanted = a.output, b.output
        for one, other in zip(a.inputs, b.inputs, strict=False):
            if one.ndim == other.ndim == out.ndim:
                for order in (
                    (*range(one.ndim),),
                    (0, *range(2, one.ndim), 1),
                    (0, one.ndim - 1, *range(1, one.ndim - 1)),
                ):
                    turned = one.transpose(order)
                    if turned.shape == other.shape and difference(turned, other) < 1e-6:  # noqa: PLR2004
                        return out.transpose(order) if out.transpose(order).shape == wanted.shape else None
        return in_shape_of(out, wanted)

    def _in_segment(self, value_a: int, value_b: int, consumer: tuple[int, int] | None) -> _Fault:
        """A fault among the calls that lead to two values which must be equal."""
        before_a = segment_before(self._a, value_a, lambda place: place in self._common_a)
        before_b = segment_before(self._b, value_b, lambda place: place in self._in_a)
        fault = self._differing_call(before_a, before_b) or self._composite(
            value_a, value_b, before_a, before_b
        )
        if fault is None:
            fault = _Fault(self._missing(value_a, value_b, before_a, before_b), [])
        mends = fault.mends
        if not mends and consumer is not None:
            array = in_shape_of(self._a.values[value_a].array, self._b.values[value_b].array)
            mends = [] if array is None else [Override(*consumer, array, "input")]
        return _Fault(fault.causes, mends)

    def _differing_call(self, before_a: Segment, before_b: Segment) -> _Fault | None:
        """The first call of B with right inputs and a wrong output, where A has one of its kind."""
        for place in before_b.calls:
            b = Place(self._b, self._b.calls[place])
            if not self._inputs_right(b) or any(output in self._in_a for output in b.call.outputs):
                continue
            for other in before_a.calls:
                a = Place(self._a, self._a.calls[other])
                if type(a.call.does) is not type(b.call.does) or not self._same_inputs(a, b):
                    continue
                found = diagnosis.flatten_order(a, b) or diagnosis.same_kind(a, b)
                if found:
                    return _Fault(found, self._output_mend(place, a, b))
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

    def _composite(self, value_a: int, value_b: int, before_a: Segment, before_b: Segment) -> _Fault | None:
        """One call of a side for several of the other: a mistake in it that gives what they give."""
        for own, other, calls, wanted, reverse in (
            (self._a, self._b, before_a.calls, value_b, False),
            (self._b, self._a, before_b.calls, value_a, True),
        ):
            for place in calls:
                single = Place(own, own.calls[place])
                candidates = [
                    wanted,
                    *(
                        v
                        for c in (before_b if not reverse else before_a).calls
                        for v in other.calls[c].outputs
                    ),
                ]
                for candidate in dict.fromkeys(candidates):
                    for alternative, before, after in diagnosis.mistakes_giving(
                        single, other.values[candidate].array
                    ):
                        texts = (
                            (alternative.other, alternative.own)
                            if reverse
                            else (alternative.own, alternative.other)
                        )
                        maker = next((c for c in other.calls if candidate in c.outputs), single.call)
                        call_a, call_b = (maker, single.call) if reverse else (single.call, maker)
                        cause = Cause(
                            kind=alternative.kind,
                            path_a=call_a.path,
                            path_b=call_b.path,
                            function_a=call_a.function,
                            function_b=call_b.function,
                            a=texts[0],
                            b=texts[1],
                            before=before,
                            after=after,
                        )
                        return _Fault([cause], [])
        return None

    def _missing(self, value_a: int, value_b: int, before_a: Segment, before_b: Segment) -> list[Cause]:
        """Calls that one side alone has between the common values."""
        array_a, array_b = self._a.values[value_a].array, self._b.values[value_b].array
        fitting = in_shape_of(array_b, array_a)
        before = None if fitting is None else difference(fitting, array_a)
        names_a = [self._a.calls[place] for place in before_a.calls]
        names_b = [self._b.calls[place] for place in before_b.calls]
        kind = "other function"
        if not names_b:
            kind = "missing call"
        elif not names_a:
            kind = "extra call"
        a, b = (names_a or [None])[-1], (names_b or [None])[-1]
        return [
            Cause(
                kind=kind,
                path_a=a.path if a else "",
                path_b=b.path if b else "",
                function_a=" → ".join(_name(call.does) for call in names_a),
                function_b=" → ".join(_name(call.does) for call in names_b),
                before=before,
                after=None,
            )
        ]


def _name(does: kinds.Semantics) -> str:
    for field in ("function", "cell"):
        if isinstance(value := getattr(does, field, None), str):
            return value
    return type(does).__name__.lower()


def _comparable(pair: PairedUse, trace_a: Trace, trace_b: Trace) -> bool:
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


def merged(found: Sequence[Cause]) -> list[Cause]:
    """Causes that are alike at several places as one; and a call before and after another as its order."""
    result: list[Cause] = []
    for cause in found:
        alike = next((each for each in result if _key(each) == _key(cause)), None)
        if alike is None:
            result.append(msgspec.structs.replace(cause, more=[]))
        elif cause.path_b != alike.path_b and cause.path_b not in alike.more:
            alike.more.append(cause.path_b)
    return result


def _key(cause: Cause) -> tuple[str, ...]:
    return (cause.kind, cause.a, cause.b, cause.function_a, cause.function_b)
