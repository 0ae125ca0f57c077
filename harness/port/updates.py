"""Update rules of optimizers in NumPy; values of A in parameters of B; what differs in training steps."""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.core.models.messages import Description
from harness.port.call_mistakes import text
from harness.port.findings import Cause
from harness.port.matching import Matching, PairedUse
from harness.port.values import difference
from harness.tracing.side import STEPS_WITH_RATES, Update

_NUMBERS = 64
#: What rounding makes of the weights.
_LEAST_CHANGE = 1e-13
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
#: What no option of a framework's own optimizer changes. It is harmless where it moves the weights less than
#: this, as the place of a usual epsilon of Adam does; that of RMSprop is another optimizer.
_NOTICED = 1e-4
_INHERENT = {"epsilon_uncorrected", "epsilon_inside", "momentum_holds_rate"}


def causes_of(a: Update, b: Update) -> list[Cause]:
    """The options in which two optimizers differ, with what each changes in 20 steps."""
    found = []
    reference = simulate(a)
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
        changed = msgspec.structs.replace(a, **{field: other})
        before = difference(simulate(changed), reference)
        if before < _LEAST_CHANGE:
            continue
        kind, name = _KINDS.get(field, "optimizer"), _NAMES.get(field, field)
        texts = f"{name} {_text(field, own, other)}", f"{name} {_text(field, other, own)}"
        after = 0.0 if np.isfinite(before) else None
        cause = Cause.at(kind, "optimizer", "optimizer", *texts, before, after, "steps")
        cause.harmless = field in _INHERENT and before < _NOTICED
        cause.function_a, cause.function_b = a.rule, b.rule
        found.append(cause)
    return found


def _text(field: str, value: Any, other: Any) -> str:
    """A field's value; of two sequences of rates that at the first step at which they differ."""
    if field == "rates":
        step = next(step for step, (one, two) in enumerate(zip(value, other, strict=True)) if one != two)
        return f"{text(value[step])} at step {step + 1}"
    if field in _WORDS:
        return _WORDS[field][bool(value)]
    return text(value)


def _rates(update: Update) -> list[float]:
    """The learning rate of each step."""
    return update.rates or [update.learning_rate or 0.0] * STEPS_WITH_RATES


def simulate(update: Update) -> np.ndarray:
    """Weights after 20 steps on fixed gradients, of two variables.

    SGD with momentum, Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), or RMSprop.
    """
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(_NUMBERS)
    first, second = np.zeros(_NUMBERS), np.zeros(_NUMBERS)
    momentum = update.momentum or 0.0
    for step, rate in enumerate(_rates(update), 1):
        gradient = _clipped(rng.standard_normal(_NUMBERS), update)
        # What the momentum sums, and what makes a step of it.
        inside, outside = (rate, 1.0) if update.momentum_holds_rate else (1.0, rate)
        decay = update.decay or 0.0
        if update.decay_coupled:
            gradient = gradient + decay * weights
        else:
            weights = weights * (1 - rate * decay)
        if update.rule == "adam":
            one, two = update.beta_1 or 0.0, update.beta_2 or 0.0
            first, second = one * first + (1 - one) * gradient, two * second + (1 - two) * gradient**2
            epsilon, correction = update.epsilon or 0.0, np.sqrt(1 - two**step)
            if update.epsilon_uncorrected:
                root = (np.sqrt(second) + epsilon) / correction
            else:
                root = np.sqrt(second) / correction + epsilon
            weights = weights - rate * first / (1 - one**step) / root
        elif update.rule == "rmsprop":
            two = update.beta_2 or 0.0
            second = two * second + (1 - two) * gradient**2
            epsilon = update.epsilon or 0.0
            root = np.sqrt(second + epsilon) if update.epsilon_inside else np.sqrt(second) + epsilon
            first = momentum * first + inside * gradient / root
            weights = weights - outside * first
        elif update.rule == "sgd":
            first = momentum * first + inside * gradient
            move = inside * gradient + momentum * first if update.nesterov else first
            weights = weights - outside * move
        else:
            return np.full(_NUMBERS, math.nan)
    return weights


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


# The values of A's parameters in the stored form of B.

_NEUTRAL = {"scale": 1.0, "running_variance": 1.0}


class MissingRole(NamedTuple):
    """A parameter that A does not have in a paired use: its role."""

    pair: PairedUse
    role: str


def transferred(
    matching: Matching, values_a: Mapping[str, np.ndarray], stored_b: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[MissingRole]]:
    """B's parameters with A's values; what A does not have becomes neutral, a zero bias or a scale of one.

    A second bias that B does not have is added to the first one, which is the same function.
    """
    changed: dict[str, np.ndarray] = {}
    missing: list[MissingRole] = []

    def target(name: str) -> np.ndarray:
        return changed.setdefault(name, np.array(stored_b[name]))

    for pair in matching.pairs:
        roles = {role: stored.canonical(values_a[stored.name]) for role, stored in pair.a.parameters.items()}
        add_second_biases(roles, pair.b.parameters)
        for role, stored in pair.b.parameters.items():
            array = target(stored.name)
            shape = stored.canonical(array).shape
            if role not in roles:
                stored.store(np.full(shape, _NEUTRAL.get(role, 0.0)), array)
                if not role.startswith("recurrent_bias"):
                    missing.append(MissingRole(pair, role))
            elif roles[role].size == np.prod(shape, dtype=int):
                stored.store(matching.operation(stored).applied(roles[role]).reshape(shape), array)
    for stored_a, other in matching.free:
        other.store(stored_a.canonical(values_a[stored_a.name]), target(other.name))
    return changed, missing


def add_second_biases(roles: dict[str, np.ndarray], others: Container[str]) -> None:
    """Add second biases that are not among the roles of the other side to the first ones."""
    for role in [role for role in roles if role.startswith("recurrent_bias_")]:
        first = "bias_" + role.removeprefix("recurrent_bias_")
        # That of the new value of a GRU is inside the reset, and cannot be added.
        if role != "recurrent_bias_n" and role not in others and first in roles and first in others:
            roles[first] = roles[first] + roles.pop(role)


# Parameters that one side alone has.

#: Fewer numbers are no table that a second layer may use.
_LEAST_TIED = 4


class Lacking(NamedTuple):
    """What has no counterpart: arrays of A and of B by name, and the names of all that gradients change."""

    a: dict[str, np.ndarray]
    b: dict[str, np.ndarray]
    trained: frozenset[str]

    @classmethod
    def of(cls, matching: Matching, a: Description, b: Description) -> "Lacking":
        """The parameters of two sides that are in no pair."""
        sides = ((matching.unmatched_a, a), (matching.unmatched_b, b))
        of_a, of_b = ({name: side.parameters[name] for name in names} for names, side in sides)
        return cls(of_a, of_b, frozenset({*a.trained, *b.trained}))

    def that_train(self, changed_a: set[str], changed_b: set[str]) -> "Lacking":
        """Without constants, which give the same numbers whoever holds them, as tables of positions."""
        of_a, of_b = (
            {name: array for name, array in own.items() if name in self.trained | changed}
            for own, changed in ((self.a, changed_a), (self.b, changed_b))
        )
        return self._replace(a=of_a, b=of_b)

    def candidates(self) -> dict[str, list[str]]:
        """For each array of A that training changes those of B with as many numbers."""
        return {
            name: [other for other, each in self.b.items() if each.size == array.size]
            for name, array in self.a.items()
            if name in self.trained
        }

    def trials(self, values_a: Mapping[str, np.ndarray]) -> Iterator["Trial"]:
        """Values that may make both sides the same: neutral ones, and for those of B some of A's."""
        own, other = (", ".join(each) or "none" for each in (self.a, self.b))
        one_sided = not (self.a and self.b)
        for value, kind in ((0.0, "missing bias"), (1.0, "missing scale")) if one_sided else ():
            neutral_a, neutral_b = (
                {name: np.full(array.shape, value) for name, array in held.items()}
                for held in (self.a, self.b)
            )
            yield Trial(kind, own, other, neutral_a, neutral_b)
        for kind, sources in (
            ("shape", {name: values_a.get(name, array) for name, array in self.a.items()}),
            ("untied", values_a),
        ):
            if len(self.b) != 1 or (self.a and kind == "untied"):
                continue
            ((name_b, array_b),) = self.b.items()
            for name_a, array in sources.items():
                for made in _spread(array, array_b.shape, tied=kind == "untied"):
                    text_a = f"{name_a} {_shape_text(array.shape)}"
                    text_a += " in both places" if kind == "untied" else ""
                    yield Trial(kind, text_a, f"{name_b} {_shape_text(array_b.shape)}", {}, {name_b: made})


class Trial(NamedTuple):
    """A kind of cause, what each side has as text, and values for what has no counterpart."""

    kind: str
    a: str
    b: str
    values_a: dict[str, np.ndarray]
    values_b: dict[str, np.ndarray]


def _spread(array: np.ndarray, shape: tuple[int, ...], *, tied: bool) -> Iterator[np.ndarray]:
    """The array in another shape: of a tied one as it is or transposed, else repeated along axes."""
    if tied:
        if array.ndim == 2 and array.size > _LEAST_TIED:  # noqa: PLR2004  a matrix
            yield from (each for each in (array, array.T) if each.shape == shape)
        return
    flat = array.reshape([size for size in array.shape if size != 1])
    if flat.ndim != 1:
        return
    for axis, size in enumerate(shape):
        if size == flat.size:
            made = flat.reshape([-1 if each == axis else 1 for each in range(len(shape))])
            yield np.array(np.broadcast_to(made, shape))


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


# What differs in training: gradients, losses and parameters after some steps.

_LEAST_LOSS = 1e-30
#: The difference that rounding may make of losses and parameters in any case, how much more than another
#: rounding of all parameters, and what shows nothing any more. Where rounding grows so far it multiplies in
#: each step, and two frameworks, which round otherwise in every step, are soon thousands of times apart. An
#: optimizer that differs does so in its first steps.
_STEPS_TOLERANCE, _ROUNDINGS, _MOST_ALLOWED = 1e-7, 100.0, 1e-6
#: Gradients that differ by more of the largest one differ at a place.
_GRADIENT_SHARE, _SHOWN_PLACES = 1e-9, 4


class WorstParameter(NamedTuple):
    """The difference of two paired arrays, B's layer, and both arrays in canonical form."""

    gap: float
    where: str = ""
    a: np.ndarray = np.zeros(0)
    b: np.ndarray = np.zeros(0)


def worst_parameter(
    matching: Matching,
    of_a: Mapping[str, np.ndarray],
    of_b: Mapping[str, np.ndarray],
    *,
    gradients: bool = False,
) -> WorstParameter:
    """The largest difference of paired arrays, relative to the largest number of all."""
    worst = WorstParameter(0.0)
    scale = max((float(np.abs(array).max()) for array in of_a.values() if array.size), default=1.0) or 1.0
    for stored, other, role, _, use in matching.arrays():
        if stored.name not in of_a or other.name not in of_b or role.startswith("running"):
            continue
        one, two = stored.canonical(of_a[stored.name]), other.canonical(of_b[other.name])
        operation = matching.operation(other)
        one = operation.moved(one) if gradients else operation.applied(one)
        gap = np.inf
        if one.size == two.size:
            gap = _never_nan(float(np.abs(one.ravel() - two.ravel()).max(initial=0.0)) / scale)
        if gap > worst.gap:
            worst = WorstParameter(gap, (use.path if use else "") or other.name, one, two)
    return worst


def gradient_texts(one: np.ndarray, other: np.ndarray) -> tuple[str, str]:
    """What each side has where one has no gradient at all, as at the index of padding; else nothing."""
    differ = np.abs(one - other) > _GRADIENT_SHARE * np.abs(one).max(initial=0.0)
    for axis in range(one.ndim):
        others = tuple(each for each in range(one.ndim) if each != axis)
        places = np.flatnonzero(differ.any(axis=others))
        parts = [np.take(array, places, axis) for array in (one, other)]
        if 0 < len(places) < one.shape[axis] and any(not part.any() for part in parts):
            where = ", ".join(map(str, places[:_SHOWN_PLACES])) + " …" * (len(places) > _SHOWN_PLACES)
            texts = [f"{np.abs(part).max():.2g}" if part.any() else "none" for part in parts]
            return f"{texts[0]} at {where} of axis {axis}", texts[1]
    return "", ""


def loss_gaps(of_a: Sequence[float], of_b: Sequence[float]) -> list[float]:
    """The relative difference of the losses of each step."""
    pairs = zip(of_a, of_b, strict=False)
    return [_never_nan(abs(one - other) / max(abs(one), _LEAST_LOSS)) for one, other in pairs]


class Steps(NamedTuple):
    """How many of the steps show anything, the worst difference of their losses, and what rounding allows."""

    shown: int
    worst: float
    tolerance: float

    @classmethod
    def of(cls, gaps: Sequence[float], roundings: Sequence[float]) -> "Steps":
        """Of the differences of both sides, and those that another rounding makes of one side.

        Rounding grows from step to step, in some models without end, and then later steps show nothing.
        """
        allowed = [max(_STEPS_TOLERANCE, _ROUNDINGS * _never_nan(each)) for each in roundings]
        count = next((step for step, each in enumerate(allowed) if each > _MOST_ALLOWED), len(allowed))
        beyond = [step for step in range(count) if gaps[step] > allowed[step]]
        place = beyond[0] if beyond else max(range(count), key=lambda step: gaps[step], default=0)
        return cls(count, gaps[place], allowed[place])


def _never_nan(gap: float) -> float:
    """The gap, infinite where it is no number: comparisons with NaN are false, and would hide it."""
    return np.inf if np.isnan(gap) else gap


def two_biases(matching: Matching) -> list[Cause]:
    """Recurrent layers of which one side trains two biases whose sum counts: it moves twice as fast."""
    for pair in matching.pairs:
        one, other = (
            {role for role in use.parameters if role.startswith("recurrent_bias")} for use in (pair.a, pair.b)
        )
        if pair.a.kind == pair.b.kind == "Recurrent" and one != other:
            a, b = (f"{len(roles)} second biases" if roles else "one bias a gate" for roles in (one, other))
            paths = pair.a.path, pair.b.path
            return [Cause.at("two biases", *paths, a, b, mode="steps", harmless=True)]
    return []


def lacking_in_a(missing: Sequence[MissingRole]) -> list[Cause]:
    """Parameters that B trains and A does not have."""
    return [
        Cause.at(missing_kind(role), pair.a.path, pair.b.path, f"no {role}", role) for pair, role in missing
    ]


def missing_kind(role: str) -> str:
    """The kind of cause of a parameter that one side lacks."""
    return "missing bias" if "bias" in role or role == "shift" else "missing scale"
