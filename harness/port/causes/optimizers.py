"""The options in which two optimizers differ, by parameter."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from harness.port.cause_kinds import text
from harness.port.pairing.matching import Matching
from harness.port.record import Cause
from harness.tracing.side import CONVENTIONS, RATED_STEPS, Update, Updates

#: The relative change of a learning rate that counts.
_LEAST_RATE_CHANGE = 1e-6
_KINDS = {
    "decay": "weight decay",
    "decay_coupled": "weight decay",
    "epsilon_uncorrected": "epsilon of Adam",
    "epsilon_inside": "epsilon of RMSprop",
    "momentum_holds_rate": "rate in the momentum",
}
_NAMES = {
    "decay_coupled": "decay",
    "epsilon_uncorrected": "epsilon",
    "epsilon_inside": "epsilon",
    "learning_rate": "learning rate",
    "rates": "learning rate",
    "momentum_holds_rate": "momentum",
    "clip_norm": "clipping by the norm of all gradients",
    "clip_each_norm": "clipping by the norm of each variable's gradient",
    "clip_value": "clipping by value",
}
#: The two values of a field, in words.
_WORDS = {
    "decay_coupled": ("decoupled", "coupled with the gradient"),
    "epsilon_uncorrected": ("after the correction", "before the correction"),
    "epsilon_inside": ("outside the root", "inside the root"),
    "momentum_holds_rate": ("of gradients", "of steps with their rates"),
}
#: Options without effect unless another one is set on both sides.
_NEEDED = {"decay_coupled": "decay", "nesterov": "momentum"}
#: Conventions that move the weights by less are harmless, as the place of Adam's epsilon usually is.
_NOTICED = 1e-4
#: The place of all parameters.
_PLACE = "optimizer"


class _Difference(NamedTuple):
    """A field in which two rules differ, the text of each side, and the names of both rules."""

    field: str
    a: str
    b: str
    rules: tuple[str, str]


def causes_of(matching: Matching, a: Updates, b: Updates) -> list[Cause]:
    """Find the options in which two optimizers differ; name the parameters if only some differ."""
    pairs = list(dict.fromkeys((one.name, other.name) for one, other, *_ in matching.arrays()))
    pairs = [(one, other) for one, other in pairs if one in a and other in b]
    found: dict[_Difference, list[tuple[str, str]]] = {}
    for one, other in pairs:
        if "unknown" not in {a[one].rule, b[other].rule}:
            for each in _differences(a[one], b[other]):
                found.setdefault(each, []).append((one, other))
    return [_cause(each, names, is_of_all=len(names) == len(pairs)) for each, names in found.items()]


def _cause(found: _Difference, names: list[tuple[str, str]], *, is_of_all: bool) -> Cause:
    places = (_PLACE, _PLACE) if is_of_all else names[0]
    cause = Cause.at(_KINDS.get(found.field, "optimizer"), *places, found.a, found.b, mode="steps")
    cause.function_a, cause.function_b = found.rules
    cause.more = [] if is_of_all else list(dict.fromkeys(other for _, other in names[1:]))
    return cause


def convention_causes(a: Updates | None, b: Updates | None, before: float) -> list[Cause]:
    """Return the causes of conventions of one side alone, which make weights differ by ``before``."""
    uses = [{field for field in CONVENTIONS if _has(updates or {}, field)} for updates in (a, b)]
    found = []
    for field in CONVENTIONS:
        if (field in uses[0]) != (field in uses[1]):
            own, other = (f"{_NAMES[field]} {_WORDS[field][field in each]}" for each in uses)
            cause = Cause.at(_KINDS[field], _PLACE, _PLACE, own, other, before, 0.0, "steps")
            cause.harmless = before < _NOTICED
            found.append(cause)
    return found


def _has(updates: Updates, field: str) -> bool:
    """Check that a rule has the convention ``field``, and an option that it places."""
    return any(
        getattr(each, field)
        and (each.momentum and each.rates if field == "momentum_holds_rate" else each.epsilon)
        for each in updates.values()
    )


def _differences(a: Update, b: Update) -> Iterator[_Difference]:
    """Yield the fields in which two rules differ with effect, other than conventions."""
    rules = a.rule, b.rule
    if a.rule != b.rule:
        yield _Difference("rule", f"rule {a.rule}", f"rule {b.rule}", rules)
        return
    for field in a.__struct_fields__:
        own, other = getattr(a, field), getattr(b, field)
        if own == other or (not own and not other) or field in CONVENTIONS:
            continue
        if (needed := _NEEDED.get(field)) and not (getattr(a, needed) and getattr(b, needed)):
            continue
        if field == "learning_rate" and (a.rates or b.rates):
            continue
        if field == "rates":
            own, other = _rates(a), _rates(b)
            if _first_other(own, other) is None:
                continue
        name = _NAMES.get(field, field)
        texts = f"{name} {_text(field, own, other)}", f"{name} {_other(field, own, other)}"
        yield _Difference(field, *texts, rules)


def _text(field: str, value: Any, other: Any) -> str:
    """Format the value of a field; for learning rates, the rate at the first step that differs."""
    if field == "rates":
        place = _first_other(value, other)
        assert place is not None  # noqa: S101  for the type checker
        return f"{text(value[place])} at step {RATED_STEPS[place] + 1}"
    if field in _WORDS:
        return _WORDS[field][bool(value)]
    return text(value or None) if field == "decay" else text(value)


def _other(field: str, own: Any, other: Any) -> str:
    """Format the ``other`` side's value, for a learning rate with the factor to the ``own`` one."""
    factor = f" (×{other / own:.6g})" if field == "learning_rate" and own and other else ""
    return _text(field, other, own) + factor


def _rates(update: Update) -> Sequence[float]:
    return update.rates or (update.learning_rate or 0.0,) * len(RATED_STEPS)


def _first_other(own: Sequence[float], other: Sequence[float]) -> int | None:
    """Return the place of the first rate that differs, up to the end of the shorter schedule."""
    pairs = enumerate(zip(own, other, strict=False))
    return next((place for place, pair in pairs if not math.isclose(*pair, rel_tol=_LEAST_RATE_CHANGE)), None)
