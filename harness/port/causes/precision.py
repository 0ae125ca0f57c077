"""Both models as their code is written, mostly in float32: is one far less exact, and where?

The comparison runs in float64 regardless of the code, and does not see an autocast or a table in bfloat16.
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from harness.core.models.remote_side import RemoteSide
from harness.port.evaluation import Evaluated
from harness.port.record import Cause
from harness.port.sides import Sides
from harness.port.values import ValueIndex
from harness.port.walk.segments import producers
from harness.tracing.calls import Call, InputShape, Trace

#: A side is off if its error is larger than this, and this many times the other side's. The errors of two
#: right models follow from their frameworks' orders of summation, and seldom differ by a factor of ten.
_OFF, _TIMES = 2e-4, 50.0
#: The error of rounding inputs and parameters alone.
_LEAST = 1e-8
#: The error of a value in a type narrower than float32 is larger.
_OFF_IN_A_CALL = 5e-5


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
    places: list[Call | str | None] = ["outputs", "outputs"]
    if found is not None:
        worse = 0 if errors[0] > errors[1] else 1
        texts[worse] = f"{found.words}, {texts[worse]}"
        places[worse], places[1 - worse] = found.written, _counterpart(found.exact, of_worse, of_other)
    (a, b), (text_a, text_b) = places, texts
    return Cause.at("only in float32", a, b, text_a, text_b, max(errors))


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
    """A call in float64, the call as written whose output is far from it, and the function and type."""

    exact: Call
    written: Call
    words: str


def first_off(written: Trace, exact: Trace) -> Off | None:
    """Find the first call with an output that is off; None if only the outputs of the model are."""
    for place, partner in sorted(_partners(written, exact)):
        own, wanted = written.calls[place], exact.calls[partner]
        pairs = zip(own.outputs, wanted.outputs, strict=True)
        arrays = [(written.values[one].array, exact.values[other].array) for one, other in pairs]
        if max((_typical(one, other) for one, other in arrays), default=0.0) > _OFF_IN_A_CALL:
            narrow = _narrow_type(arrays[0][0])
            return Off(wanted, own, f"{own.function} in {narrow}" if narrow else own.function)
    return None


def _partners(written: Trace, exact: Trace) -> Iterator[tuple[int, int]]:
    """Pair the calls of both evaluations of one model; a branch on the type leaves some without partner."""
    of_written, of_exact = (
        [(call.path, call.function, len(call.outputs)) for call in trace.calls] for trace in (written, exact)
    )
    matcher = difflib.SequenceMatcher(None, of_written, of_exact, autojunk=False)
    for block in matcher.get_matching_blocks():
        yield from ((block.a + number, block.b + number) for number in range(block.size))


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
