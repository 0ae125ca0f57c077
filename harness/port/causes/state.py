"""Running statistics after a training step, and initial values: outputs alone do not show them."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.core.stats.deviations import exceeds, largest
from harness.port.calls import running_statistics
from harness.port.cause_kinds import kind_of, text
from harness.port.pairing.matching import Matching, PairedUse
from harness.port.record import Cause
from harness.port.values import ROUNDING, difference
from harness.port.walk.places import Place, differing_fields
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace

_ROLES = ("running_mean", "running_variance")
#: The frameworks' own layers, which have no argument for the kind of variance.
_FRAMEWORKS = ("torch.", "keras.", "flax.")
#: With enough values, spreads that differ by a smaller factor are those of one distribution.
_SPREAD_RATIO = 1.25
_ENOUGH_VALUES = 100


def running_state(trace_a: Trace, trace_b: Trace, matching: Matching) -> tuple[float, list[Cause]]:
    """Return the worst difference of running statistics after the same training step, and its causes."""
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
        gap = largest(_gaps(trace_a, trace_b, pair).values())
        if exceeds(gap, ROUNDING):
            causes_here = _of_statistics(a, b, gap)
            found += causes_here
            if all(cause.harmless for cause in causes_here):
                continue
        worst = largest((worst, gap))
    return worst, found


def _gaps(trace_a: Trace, trace_b: Trace, pair: PairedUse) -> dict[str, float]:
    gaps = {}
    for role in _ROLES:
        one, other = pair.a.parameters.get(role), pair.b.parameters.get(role)
        if one is None or other is None:
            continue
        if one.name in trace_a.state_after and other.name in trace_b.state_after:
            after_a = one.canonical(trace_a.state_after[one.name])
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
        before = largest(difference(made[role], wanted[role]) for role in _ROLES)
        own_layers = all(call.function.startswith(_FRAMEWORKS) for call in (a.call, b.call))
        inherent = (
            field == "unbiased_running_variance"
            and own_layers
            and "torch" in a.call.function + b.call.function
        )
        kind = "running variance" if inherent else kind_of(does, field, other)
        own_text, other_text = text(getattr(does_a, field)), text(other)
        if field == "unbiased_running_variance":
            own_text, other_text = _bias(getattr(does_a, field)), _bias(other)
        texts = own_text, other_text
        found.append(Cause.at(kind, a.call, b.call, *texts, before, 0.0, "training", harmless=inherent))
    return found


def _bias(unbiased: bool) -> str:
    return "unbiased" if unbiased else "biased"


def are_momenta(found: Sequence[Cause]) -> bool:
    """Check that all causes concern the update of running statistics itself."""
    return all(cause.kind in {"momentum", "running variance", "variance"} for cause in found)


def initial_values(
    initial_a: Mapping[str, np.ndarray], initial_b: Mapping[str, np.ndarray], matching: Matching
) -> list[Cause]:
    """Find initial values whose distributions differ, and merge them into one harmless cause."""
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
