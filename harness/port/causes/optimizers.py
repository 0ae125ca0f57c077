"""Update rules of optimizers in NumPy, and the options in which two optimizers differ, by parameter."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.port.cause_kinds import text
from harness.port.pairing.matching import Matching
from harness.port.record import Cause
from harness.port.values import difference
from harness.tracing.side import CONVENTIONS, FIRST_STEPS, RATED_STEPS, Update, Updates

_NUMBERS = 64
#: The change of the weights by rounding alone, and the relative change of a learning rate.
_LEAST_CHANGE, _LEAST_RATE_CHANGE = 1e-13, 1e-6
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
    "accumulation": "steps in an update",
    "average": "momentum of the averaged weights",
    "average_every": "steps between replacements by the averaged weights",
}
#: The two values of a field, in words.
_WORDS = {
    "decay_coupled": ("decoupled", "coupled with the gradient"),
    "epsilon_uncorrected": ("after the correction", "before the correction"),
    "epsilon_inside": ("outside the root", "inside the root"),
    "momentum_holds_rate": ("of gradients", "of steps with their rates"),
}
#: Differences that no option of a framework's optimizer removes are harmless if they move the weights by
#: less, as the place of Adam's epsilon usually does; the place of RMSprop's epsilon moves them by more.
_NOTICED = 1e-4
#: The place of all parameters.
_PLACE = "optimizer"
#: No simulation is longer. One covers two updates of accumulated gradients, or two averages.
_MOST_STEPS = 1000


class _Difference(NamedTuple):
    """A field in which two rules differ, the text of each side, and the change of weights by it."""

    field: str
    a: str
    b: str
    change: float


class _Found(NamedTuple):
    """The rules with a difference, the change by it, and the names of the parameters in A and in B."""

    rules: tuple[str, str]
    changes: list[float]
    names: list[tuple[str, str]]


def causes_of(matching: Matching, a: Updates, b: Updates) -> list[Cause]:
    """Find the options in which two optimizers differ, with the change that each makes in 20 steps.

    A difference of some parameters alone names them.
    """
    pairs = list(dict.fromkeys((one.name, other.name) for one, other, *_ in matching.arrays()))
    pairs = [(one, other) for one, other in pairs if one in a and other in b]
    known: dict[tuple[Update, Update], list[_Difference]] = {}
    found: dict[tuple[str, str, str], _Found] = {}
    for one, other in pairs:
        rules = a[one], b[other]
        if "unknown" in {rule.rule for rule in rules}:
            continue
        if rules not in known:
            known[rules] = list(_differences(*rules))
        for field, own, theirs, change in known[rules]:
            texts = field, own, theirs
            entry = found.setdefault(texts, _Found((rules[0].rule, rules[1].rule), [], []))
            entry.changes.append(change)
            entry.names.append((one, other))
    return [_cause(*texts, each, is_of_all=len(each.names) == len(pairs)) for texts, each in found.items()]


def _cause(field: str, a: str, b: str, found: _Found, *, is_of_all: bool) -> Cause:
    places = (_PLACE, _PLACE) if is_of_all else found.names[0]
    change = max(found.changes)
    before = change if change >= _LEAST_CHANGE else None
    after = 0.0 if before is not None and np.isfinite(before) else None
    cause = Cause.at(_KINDS.get(field, "optimizer"), *places, a, b, before, after, "steps")
    cause.harmless = field in CONVENTIONS and change < _NOTICED
    cause.function_a, cause.function_b = found.rules
    cause.more = [] if is_of_all else list(dict.fromkeys(other for _, other in found.names[1:]))
    return cause


def convention_causes(a: Updates | None, b: Updates | None, before: float) -> list[Cause]:
    """Return the causes of conventions of one side alone, by which weights differ by ``before``."""
    uses = [{field for field in CONVENTIONS if _has(updates or {}, field)} for updates in (a, b)]
    found = []
    for field in CONVENTIONS:
        if (field in uses[0]) != (field in uses[1]):
            own, other = (f"{_NAMES[field]} {_WORDS[field][field in each]}" for each in uses)
            cause = Cause.at(_KINDS[field], _PLACE, _PLACE, own, other, before, 0.0, "steps")
            cause.harmless = before < _NOTICED
            found.append(cause)
    return found


def is_convention(cause: Cause) -> bool:
    """Check that ``cause`` is one that training with ``aligned`` sides removes."""
    return cause.kind in {_KINDS[field] for field in CONVENTIONS}


def _has(updates: Updates, field: str) -> bool:
    """Check that a rule has the convention ``field``, and an option that it places."""
    return any(
        getattr(each, field)
        and (each.momentum and each.rates if field == "momentum_holds_rate" else each.epsilon)
        for each in updates.values()
    )


def _differences(a: Update, b: Update) -> Iterator[_Difference]:
    steps, size = _length(a, b), _size(a, b)
    for field in a.__struct_fields__:
        own, other = getattr(a, field), getattr(b, field)
        if own == other or (not own and not other):
            continue
        if field == "decay_coupled" and not (a.decay and b.decay):
            continue
        if field == "learning_rate" and (a.rates or b.rates):
            continue
        if field == "rates":
            own, other = _rates(a), _rates(b)
            if _first_other(own, other) is None:
                continue
        of_field = size if field.startswith("clip") else 1.0
        changed = msgspec.structs.replace(a, **{field: other})
        change = difference(simulate(changed, steps, of_field), simulate(a, steps, of_field))
        # A rate may also differ after the steps that are simulated.
        if change >= _LEAST_CHANGE or field == "rates":
            name = _NAMES.get(field, field)
            yield _Difference(
                field, f"{name} {_text(field, own, other)}", f"{name} {_other(field, own, other)}", change
            )


def _length(a: Update, b: Update) -> int:
    """Return the number of steps in which accumulated gradients and averages show."""
    wanted = max(2 * steps_of_update(each) for each in (a, b))
    return min(max(FIRST_STEPS, wanted), _MOST_STEPS)


def steps_of_update(update: Update) -> int:
    """Return the number of steps after which an update has been made, and an average has replaced weights."""
    return (update.accumulation or 1) * (update.average_every or 1)


def steps_shown(updates: Updates | None) -> int:
    """Return the number of training steps that show what rules do: two updates, or two averages."""
    return 2 * max((steps_of_update(each) for each in (updates or {}).values()), default=0)


def _size(a: Update, b: Update) -> float:
    """Return the size of gradients that are clipped."""
    return 10.0 * max(
        each or 0.0 for rule in (a, b) for each in (rule.clip_norm, rule.clip_each_norm, rule.clip_value)
    )


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
    """List the learning rates of the rated steps."""
    return update.rates or (update.learning_rate or 0.0,) * len(RATED_STEPS)


def _first_other(own: Sequence[float], other: Sequence[float]) -> int | None:
    """Return the place of the first rate that differs, up to the end of the shorter schedule."""
    pairs = enumerate(zip(own, other, strict=False))
    return next((place for place, pair in pairs if not math.isclose(*pair, rel_tol=_LEAST_RATE_CHANGE)), None)


# The rules.


def simulate(update: Update, steps: int = FIRST_STEPS, size: float = 1.0) -> np.ndarray:
    """Compute the weights of two variables after ``steps`` on fixed gradients of about ``size``.

    SGD with momentum, Adam (Kingma and Ba 2015), AMSGrad (Reddi et al. 2018), AdamW (Loshchilov and Hutter
    2019), or RMSprop.
    """
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(_NUMBERS)
    rates, accumulated = _rates(update)[:FIRST_STEPS], update.accumulation or 1
    average, total, state = weights, np.zeros(_NUMBERS), _State(update)
    for step in range(1, steps + 1):
        total = total + size * rng.standard_normal(_NUMBERS)
        number, rest = divmod(step, accumulated)
        if not rest:
            rate = rates[min(step, len(rates)) - 1]
            weights = state.updated(weights, _clipped(total / accumulated, update), rate, number)
            total = np.zeros(_NUMBERS)
        if update.average is not None:
            average = weights if step == 1 else update.average * average + (1 - update.average) * weights
            if update.average_every and step % steps_of_update(update) == 0:
                weights = average
    return weights if update.average is None else average


class _State:
    """The memory of an update rule for some weights."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._first, self._second, self._largest = (np.zeros(_NUMBERS) for _ in range(3))

    def updated(self, weights: np.ndarray, gradient: np.ndarray, rate: float, step: int) -> np.ndarray:
        """Return ``weights`` after the update number ``step``, which begins with 1."""
        update, decay = self._update, self._update.decay or 0.0
        if update.rule == "none":
            return weights
        if update.decay_coupled:
            gradient = gradient + decay * weights
        else:
            weights = weights * (1 - rate * decay)
        moves = {"adam": self._adam, "rmsprop": self._rmsprop, "sgd": self._sgd}
        return np.asarray(weights - moves[update.rule](gradient, rate, step))

    def _adam(self, gradient: np.ndarray, rate: float, step: int) -> np.ndarray:
        update = self._update
        one, two = update.beta_1 or 0.0, update.beta_2 or 0.0
        self._first = one * self._first + (1 - one) * gradient
        self._second = two * self._second + (1 - two) * gradient**2
        self._largest = np.maximum(self._largest, self._second)
        root = np.sqrt(self._largest if update.amsgrad else self._second)
        epsilon, correction = update.epsilon or 0.0, np.sqrt(1 - two**step)
        uncorrected = update.epsilon_uncorrected
        divisor = (root + epsilon) / correction if uncorrected else root / correction + epsilon
        return np.asarray(rate * self._first / (1 - one**step) / divisor)

    def _rmsprop(self, gradient: np.ndarray, rate: float, _: int) -> np.ndarray:
        update, two = self._update, self._update.beta_2 or 0.0
        self._second = two * self._second + (1 - two) * gradient**2
        square, epsilon = self._second, update.epsilon or 0.0
        if update.centered:
            self._largest = two * self._largest + (1 - two) * gradient
            square = square - self._largest**2
        root = np.sqrt(square + epsilon) if update.epsilon_inside else np.sqrt(square) + epsilon
        return self._summed(gradient / root, rate)[0]

    def _sgd(self, gradient: np.ndarray, rate: float, _: int) -> np.ndarray:
        move, step = self._summed(gradient, rate)
        return step + (self._update.momentum or 0.0) * move if self._update.nesterov else move

    def _summed(self, gradient: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the move by the momentum, and that by ``gradient`` alone."""
        # The factor inside the sum of the momentum, and the factor of the sum in a step.
        inside, outside = (rate, 1.0) if self._update.momentum_holds_rate else (1.0, rate)
        self._first = (self._update.momentum or 0.0) * self._first + inside * gradient
        return outside * self._first, rate * gradient


def _clipped(gradient: np.ndarray, update: Update) -> np.ndarray:
    def within(part: np.ndarray, most: float) -> np.ndarray:
        return part * min(1.0, most / float(np.linalg.norm(part)))

    if update.clip_each_norm:
        return np.concatenate([within(part, update.clip_each_norm) for part in np.split(gradient, 2)])
    if update.clip_norm:
        return within(gradient, update.clip_norm)
    if update.clip_value:
        clipped: np.ndarray = np.clip(gradient, -update.clip_value, update.clip_value)
        return clipped
    return gradient
