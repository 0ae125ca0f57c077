"""Dropout: its rate and units, the values that it drops, and dropout that is never off."""

from collections.abc import Sequence

import numpy as np

from harness.port.cause_kinds import text
from harness.port.record import Cause, Mode
from harness.port.values import ROUNDING, ValueIndex, are_equal
from harness.port.walk.places import Place
from harness.port.walk.segments import producers
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace


def dropouts(trace_a: Trace, trace_b: Trace, *, training: bool) -> list[Cause]:
    """Find differing dropout in training, and dropout that is active in evaluation."""
    of_a, of_b = _dropouts(trace_a), _dropouts(trace_b)
    if not training:
        active_a, active_b = ([place for place in of if _does(place).active] for of in (of_a, of_b))
        if bool(active_a) == bool(active_b):
            return []
        place = (active_a or active_b)[0]
        texts = ("active in evaluation", "off") if active_a else ("off", "active in evaluation")
        one, other_one = (place, None) if active_a else (None, place)
        return [_dropout(one, other_one, *texts, mode="evaluation")]
    rates_a = [place for place in of_a if _does(place).rate]
    rates_b = [place for place in of_b if _does(place).rate]
    if len(rates_a) != len(rates_b):
        own, other = (
            ", ".join(text(_does(place).rate) for place in of) or "none" for of in (rates_a, rates_b)
        )
        first_a, first_b = (next(iter(rates), None) for rates in (rates_a, rates_b))
        return [_dropout(first_a, first_b, own, other, mode="training")]
    found = [
        _dropout(one, other, text(_does(one).rate), text(_does(other).rate), mode="training")
        for one, other in zip(rates_a, rates_b, strict=True)
        if abs(_does(one).rate - _does(other).rate) > ROUNDING
    ]
    return found or _of_other_values(trace_a, trace_b, rates_a, rates_b)


def _of_other_values(
    trace_a: Trace, trace_b: Trace, of_a: Sequence[Place], of_b: Sequence[Place]
) -> list[Cause]:
    """Find dropout in other units, such as elements or whole channels, and dropout of other values.

    Dropout of other values counts only if each side also has the values that the other side drops.
    """
    found, rest_a, rest_b = [], [], list(of_b)
    for a in of_a:
        b = next((b for b in rest_b if are_equal(_dropped(a), _dropped(b))), None)
        if b is None:
            rest_a.append(a)
            continue
        rest_b.remove(b)
        counts = _does(a).together, _does(b).together
        if counts[0] != counts[1]:
            own, other = (f"{count:,} elements together" if count > 1 else "each element" for count in counts)
            found.append(_dropout(a, b, own, other, mode="training"))
    if len(rest_a) != len(rest_b):
        return found
    index_a, index_b = ValueIndex(trace_a), ValueIndex(trace_b)
    return found + [
        _dropout(a, b, f"of {_source(a)}", f"of {_source(b)}", mode="training")
        for a, b in zip(rest_a, rest_b, strict=True)
        if index_b.find(_dropped(a)) is not None and index_a.find(_dropped(b)) is not None
    ]


def _dropped(dropout: Place) -> np.ndarray:
    """Return the dropped values, followed back through calls that preserve zeros and factors."""
    made_by, place = producers(dropout.trace), dropout.call.inputs[0]
    while place in made_by and _passes_zeros_and_factors(call := dropout.trace.calls[made_by[place]]):
        place = call.inputs[0]
    return np.asarray(dropout.trace.values[place].array)


def _passes_zeros_and_factors(call: Call) -> bool:
    """Check that ``f(c * x) = c * f(x)`` for each element and any ``c`` that is not negative."""
    match call.does:
        case kinds.Reshape() | kinds.Transposition() | kinds.Dropout():
            return True
        case kinds.Activation(function=function):
            return function in {"identity", "relu", "leaky_relu", "abs", "negative"}
        case kinds.Arithmetic(function=function, constant=constant, constant_first=first):
            scales = function == "multiply" or (function == "divide" and not first)
            return constant is not None and scales
    return False


def _source(dropout: Place) -> str:
    place = producers(dropout.trace).get(dropout.call.inputs[0])
    call = None if place is None else dropout.trace.calls[place]
    return "the input" if call is None else f"the output of {call.path or call.function}"


def _dropouts(trace: Trace) -> list[Place]:
    return [Place(trace, call) for call in trace.calls if isinstance(call.does, kinds.Dropout)]


def _does(place: Place) -> kinds.Dropout:
    assert isinstance(place.call.does, kinds.Dropout)  # noqa: S101  for the type checker
    return place.call.does


def _dropout(a: Place | None, b: Place | None, own: str, other: str, mode: Mode) -> Cause:
    return Cause.at("dropout", a and a.call, b and b.call, own, other, mode=mode)
