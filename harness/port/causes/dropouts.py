"""Dropout of another rate, and dropout that is never off."""

from harness.port.cause_kinds import text
from harness.port.record import Cause, Mode
from harness.port.values import ROUNDING
from harness.port.walk.places import Place
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace


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
    return [
        _dropout(one, other, text(_does(one).rate), text(_does(other).rate), mode="training")
        for one, other in zip(rates_a, rates_b, strict=True)
        if abs(_does(one).rate - _does(other).rate) > ROUNDING
    ]


def _dropouts(trace: Trace) -> list[Place]:
    return [Place(trace, call) for call in trace.calls if isinstance(call.does, kinds.Dropout)]


def _does(place: Place) -> kinds.Dropout:
    assert isinstance(place.call.does, kinds.Dropout)  # noqa: S101  for the type checker
    return place.call.does


def _dropout(a: Place | None, b: Place | None, own: str, other: str, mode: Mode) -> Cause:
    return Cause.at("dropout", a and a.call, b and b.call, own, other, mode=mode)
