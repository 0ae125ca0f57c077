"""Running statistics after a training step, dropout, and initial values: what outputs alone do not show."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.port import findings
from harness.port.call_mistakes import text
from harness.port.calls import running_statistics
from harness.port.diagnosis import Place, differing_fields
from harness.port.findings import Cause, Mode
from harness.port.matching import Matching, PairedUse
from harness.port.values import ROUNDING, ValueIndex, are_equal, difference, producers
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace

_ROLES = ("running_mean", "running_variance")
#: Layers of the frameworks themselves, of which no argument chooses the kind of variance.
_FRAMEWORKS = ("torch.", "keras.", "flax.")
#: Spreads of initial values that differ by less are those of one distribution, with so many values.
_SPREAD_RATIO = 1.25
_ENOUGH_VALUES = 100


def running_state(trace_a: Trace, trace_b: Trace, matching: Matching) -> tuple[float, list[Cause]]:
    """The worst difference of running statistics after the same training step, and the causes."""
    worst, found = 0.0, []
    for pair in matching.pairs:
        found_a, found_b = (
            next((call for call in trace.calls if call.parameters == use.parameters), None)
            for trace, use in ((trace_a, pair.a), (trace_b, pair.b))
        )
        if found_a is None or found_b is None:
            continue
        a, b = Place(trace_a, found_a), Place(trace_b, found_b)
        if not all(isinstance(each.call.does, kinds.BatchNormalization) for each in (a, b)):
            continue
        gap = max(_gaps(trace_a, trace_b, pair, matching).values(), default=0.0)
        if gap > ROUNDING:
            causes_here = _of_statistics(a, b, gap)
            found += causes_here
            if all(cause.harmless for cause in causes_here):
                continue
        worst = max(worst, gap)
    return worst, found


def _gaps(trace_a: Trace, trace_b: Trace, pair: PairedUse, matching: Matching) -> dict[str, float]:
    gaps = {}
    for role in _ROLES:
        one, other = pair.a.parameters.get(role), pair.b.parameters.get(role)
        if one is None or other is None:
            continue
        if one.name in trace_a.state_after and other.name in trace_b.state_after:
            after_a = one.canonical(trace_a.state_after[one.name])
            after_a = matching.operation(other).applied(after_a)
            gaps[role] = difference(other.canonical(trace_b.state_after[other.name]), after_a)
        elif (one.name in trace_a.state_after) != (other.name in trace_b.state_after):
            gaps[role] = 1.0
    return gaps


def _of_statistics(a: Place, b: Place, gap: float) -> list[Cause]:
    does_a, does_b = a.call.does, b.call.does
    fields = [
        field
        for field in differing_fields(does_a, does_b)
        if field in {"momentum", "unbiased_running_variance"}
    ]
    if not fields or not isinstance(does_a, kinds.BatchNormalization):
        return [Cause.at("unexplained", a.call, b.call, "", "", gap, mode="training")]
    wanted = running_statistics(does_a, a.inputs[0], a.parameters)
    found, does = [], does_a
    for field in fields:
        other = getattr(does_b, field)
        changed = msgspec.structs.replace(does_a, **{field: other})
        made = running_statistics(changed, a.inputs[0], a.parameters)
        before = max(difference(made[role], wanted[role]) for role in _ROLES)
        own_layers = all(call.function.startswith(_FRAMEWORKS) for call in (a.call, b.call))
        inherent = (
            field == "unbiased_running_variance"
            and own_layers
            and "torch" in a.call.function + b.call.function
        )
        kind = "running variance" if inherent else findings.kind_of(does, field, other)
        own_text, other_text = text(getattr(does_a, field)), text(other)
        if field == "unbiased_running_variance":
            own_text, other_text = _bias(getattr(does_a, field)), _bias(other)
        texts = own_text, other_text
        found.append(Cause.at(kind, a.call, b.call, *texts, before, 0.0, "training", harmless=inherent))
    return found


def _bias(unbiased: bool) -> str:
    return "unbiased" if unbiased else "biased"


def dropouts(trace_a: Trace, trace_b: Trace, *, training: bool) -> list[Cause]:
    """Differing rates of dropout in training, and dropout that is active in evaluation."""
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
    """Dropout in other units, as of single elements or of whole channels, and dropout of other values.

    The latter only where each side has the values that the other one drops, too: it could do the same.
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
    """What is dropped, before calls after which zeros and factors are the same as before them."""
    made_by, place = producers(dropout.trace), dropout.call.inputs[0]
    while place in made_by and _passes_zeros_and_factors(call := dropout.trace.calls[made_by[place]]):
        place = call.inputs[0]
    return np.asarray(dropout.trace.values[place].array)


def _passes_zeros_and_factors(call: Call) -> bool:
    """Whether ``f(c * x) = c * f(x)`` for each element and any ``c`` that is not negative."""
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


def initial_values(
    initial_a: Mapping[str, np.ndarray], initial_b: Mapping[str, np.ndarray], matching: Matching
) -> list[Cause]:
    """Initial values of other distributions, all in one harmless cause."""
    found = []
    for pair in matching.pairs:
        for role in sorted(pair.a.parameters.keys() & pair.b.parameters.keys()):
            one = pair.a.parameters[role].canonical(initial_a[pair.a.parameters[role].name])
            other = pair.b.parameters[role].canonical(initial_b[pair.b.parameters[role].name])
            if _other_distribution(one, other):
                found.append((pair, role, one, other))
    if not found:
        return []
    pair, role, one, other = found[0]
    paths = f"{pair.a.path} {role}", f"{pair.b.path} {role}"
    cause = Cause.at("initial values", *paths, _spread(one), _spread(other), harmless=True)
    cause.more = [f"{each.b.path} {name}" for each, name, _, _ in found[1:]]
    return [cause]


def _other_distribution(one: np.ndarray, other: np.ndarray) -> bool:
    spreads = float(one.std()), float(other.std())
    if min(spreads) == 0.0:
        return max(spreads) > 0.0 or abs(float(one.flat[0] - other.flat[0])) > ROUNDING
    return one.size >= _ENOUGH_VALUES and max(spreads) / min(spreads) > _SPREAD_RATIO


def _spread(array: np.ndarray) -> str:
    deviation = float(array.std())
    return f"standard deviation {deviation:.3g}" if deviation else f"all {float(array.flat[0]):g}"


def are_momenta(found: Sequence[Cause]) -> bool:
    """Whether all causes are those of the update of running statistics itself."""
    return all(cause.kind in {"momentum", "running variance", "variance"} for cause in found)
