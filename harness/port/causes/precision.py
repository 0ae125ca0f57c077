"""Both models as their code is written, mostly in float32: is one far less exact, and where?

The comparison runs in float64 regardless of the code, and does not see an autocast or a table in bfloat16.
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.core.models.remote_side import RemoteSide
from harness.port.evaluation import Evaluated
from harness.port.record import Cause
from harness.port.sides import Sides
from harness.port.values import ValueIndex, difference
from harness.port.walk.segments import producers
from harness.tracing.calls import Call, InputShape, Trace
from harness.tracing.semantics import Opaque

#: A side is off if its error is larger than this, and this many times the other side's. The errors of two
#: right models follow from their frameworks' orders of summation, and seldom differ by a factor of ten.
_OFF, _TIMES = 2e-4, 50.0
#: The error of rounding inputs and parameters alone.
_LEAST = 1e-8
#: The error of a value in a narrower type is larger than this, and this many times that of its inputs.
_OFF_IN_A_CALL, _GROWTH = 5e-5, 10.0


class AsWritten:
    """Both models as their code is written, made beside the comparison in float64."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._made: list[Future[None]] = []

    def begin(self, side: RemoteSide, arguments: Mapping[str, Any], shapes: Sequence[InputShape]) -> None:
        self._made.append(self._sides.begin(lambda: side.as_written.build(arguments, shapes)))

    def causes(self, wanted: "Evaluated", traced: "Evaluated") -> list[Cause]:
        """Find the cause if one model alone is far from its outputs in float64, ``wanted``.

        The first call that differs is searched in ``traced``. Afterwards both models are freed.

        Raises:
            UsageError: a model cannot be made or evaluated as its code is written.
        """
        a, b = self._sides.a, self._sides.b
        try:
            for made in self._made:
                made.result()

            def outputs(side: RemoteSide) -> Trace:
                side.as_written.load(side.parameters)
                return side.as_written.outputs(wanted.inputs, training=False)

            written_a, written_b = self._sides.both(outputs)
            errors = error(written_a, wanted.a), error(written_b, wanted.b)
            if not is_off(*errors):
                return []
            worse, of_worse, of_other = (
                (a, traced.a, traced.b) if errors[0] > errors[1] else (b, traced.b, traced.a)
            )
            found = first_off(worse.as_written.trace(traced.inputs, training=False), of_worse)
            return [_cause(errors, found, of_worse, of_other)]
        finally:
            for side in (a, b):
                side.as_written.leave()


def _cause(errors: tuple[float, float], found: "Off | None", of_worse: Trace, of_other: Trace) -> Cause:
    texts = [f"{each:.1e} from its own outputs in float64" for each in errors]
    paths, functions = ["outputs", "outputs"], ["", ""]
    if found is not None:
        worse = 0 if errors[0] > errors[1] else 1
        other = _counterpart(found.exact, of_worse, of_other)
        texts[worse] = f"{found.words}, {texts[worse]}"
        for side, call in ((worse, found.written), (1 - worse, other)):
            paths[side] = "" if call is None else call.path or call.function
            functions[side] = "" if call is None else call.function
    return Cause(
        kind="only in float32",
        path_a=paths[0],
        path_b=paths[1],
        function_a=functions[0],
        function_b=functions[1],
        a=texts[0],
        b=texts[1],
        before=max(errors) if math.isfinite(max(errors)) else None,
        mode="evaluation",
    )


def _counterpart(call: Call, own: Trace, other: Trace) -> Call | None:
    """Find the call of the other side with the output of ``call`` in float64."""
    places = [ValueIndex(other).find(own.values[each].array) for each in call.outputs[:1]]
    maker = next((producers(other).get(place) for place in places if place is not None), None)
    return None if maker is None else other.calls[maker]


def is_off(error_a: float, error_b: float) -> bool:
    """Check that one of two errors is far larger than the other."""
    small, large = sorted((error_a, error_b))
    return large > _OFF and large > _TIMES * max(small, _LEAST)


def error(as_written: Trace, exact: Trace) -> float:
    """Return the relative error of the worst output in a typical sample.

    A decision that rounding reverses in one sample is no error of the model.
    """
    pairs = zip(exact.outputs, as_written.outputs, strict=False)
    return max((_typical(as_written.values[b].array, exact.values[a].array) for a, b in pairs), default=0.0)


def _typical(array: np.ndarray, wanted: np.ndarray) -> float:
    if array.shape != wanted.shape or wanted.dtype.kind != "f" or not wanted.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        gaps = np.where(array == wanted, 0.0, np.abs(array - wanted))
    gaps = np.where(np.isnan(gaps), 0.0 if np.isnan(wanted).any() else math.inf, gaps)
    scale = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)) or 1.0
    samples = gaps.reshape(len(gaps), -1).max(axis=1) if gaps.ndim else gaps
    return float(np.median(samples)) / scale


class Off(NamedTuple):
    """A call in float64, the call as written that goes wrong, and the reason in words."""

    exact: Call
    written: Call
    words: str


def first_off(written: Trace, exact: Trace) -> Off | None:
    """Find the first call that is off although its inputs are not; None if the error grows gradually."""
    written, exact = _with_end(written), _with_end(exact)
    partners = dict(_partners(written, exact))
    lone = {place for place in range(len(written.calls)) if place not in partners}
    missed = set(range(len(exact.calls))) - set(partners.values())
    for place, partner in sorted(partners.items()):
        own, wanted = written.calls[place], exact.calls[partner]
        if len(own.inputs) != len(wanted.inputs):
            continue
        entering, made = (
            [_off(written, one, exact, other) for one, other in zip(*places, strict=False)]
            for places in ((own.inputs, wanted.inputs), (own.outputs, wanted.outputs))
        )
        if max(made or entering, default=0.0) < _OFF_IN_A_CALL:
            continue
        branch = _branch(written, own, lone, "which it calls in float32 alone") or _branch(
            exact, wanted, missed, "which it does not call in float32"
        )
        if branch is not None:
            return Off(wanted, *branch)
        words = _input_words(written, own, entering)
        if words or max(made, default=0.0) > _GROWTH * max(entering, default=0.0):
            return Off(wanted, own, words or _call_words(written, own))
        return None
    return None


def _with_end(trace: Trace) -> Trace:
    """Add a last call to ``trace``, whose inputs are the outputs."""
    does = Opaque(function="outputs")
    end = Call(path="", function="outputs", does=does, inputs=trace.outputs, outputs=[])
    return msgspec.structs.replace(trace, calls=[*trace.calls, end])


def _partners(written: Trace, exact: Trace) -> Iterator[tuple[int, int]]:
    """Pair the calls of both evaluations of one model; a branch on the type leaves some without partner."""
    of_written, of_exact = (
        [(call.path, call.function, len(call.outputs)) for call in trace.calls] for trace in (written, exact)
    )
    matcher = difflib.SequenceMatcher(None, of_written, of_exact, autojunk=False)
    for block in matcher.get_matching_blocks():
        yield from ((block.a + number, block.b + number) for number in range(block.size))


def _off(written: Trace, place: int, exact: Trace, wanted: int) -> float:
    one, other = written.values[place], exact.values[wanted]
    if other.array.dtype.kind != "f":
        return 0.0
    if one.source == "call":
        return _typical(one.array, other.array)
    return difference(one.array, other.array) if one.array.shape == other.array.shape else 0.0


def _branch(trace: Trace, call: Call, lone: set[int], words: str) -> tuple[Call, str] | None:
    """Return the first call without partner that leads to ``call``, and all such calls in words."""
    made_by = producers(trace)
    found: list[Call] = []
    queue = list(call.inputs)
    while queue:
        place = made_by.get(queue.pop())
        if place is None or place not in lone:
            continue
        maker = trace.calls[place]
        narrow = _narrow_type(trace.values[maker.outputs[0]].array)
        if narrow and not any(_narrow_type(trace.values[each].array) for each in maker.inputs):
            return maker, f"{maker.function} rounds to {narrow}"
        found.insert(0, maker)
        queue += maker.inputs
    names = dict.fromkeys(maker.function for maker in found)
    return (found[0], f"{' and '.join(names)}, {words}") if found else None


def _input_words(trace: Trace, call: Call, entering: Sequence[float]) -> str:
    """Name an input that is off by itself, a parameter or a constant; empty if there is none."""
    for place, gap in zip(call.inputs, entering, strict=True):
        value = trace.values[place]
        if gap > _OFF_IN_A_CALL and value.source != "call":
            name = f"parameter {value.name}" if value.source == "parameter" else "a constant"
            return f"{name} of {call.function} is {_narrow_type(value.array) or 'rounded'}"
    return ""


def _call_words(trace: Trace, call: Call) -> str:
    narrow = _narrow_type(trace.values[call.outputs[0]].array)
    if not narrow:
        return call.function
    from_wider = any(
        trace.values[place].array.dtype.kind == "f" and not _narrow_type(trace.values[place].array)
        for place in call.inputs
    )
    return f"{call.function} computes in {narrow}" + " (autocast)" * from_wider


def _narrow_type(array: np.ndarray) -> str:
    """Name the narrowest type that represents ``array``, if it is narrower than float32."""
    if array.dtype.kind != "f":
        return ""
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
        if not np.array_equal(single, array, equal_nan=True):
            return ""
        if not (single.view(np.uint32) & 0xFFFF).any():
            return "bfloat16"
        half = single.astype(np.float16)
    return "float16" if np.array_equal(half, single, equal_nan=True) else ""
