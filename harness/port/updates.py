"""Update rules of optimizers in NumPy, to show what a difference of options does."""

import math
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.port.findings import Cause
from harness.port.matching import Matching, PairedUse
from harness.port.values import difference
from harness.reference.call_mistakes import text
from harness.tracing.side import Update

_STEPS = 20
_NUMBERS = 64
_KINDS = {
    "decay": "weight decay",
    "decay_coupled": "weight decay",
    "epsilon_uncorrected": "epsilon of Adam",
}
_NAMES = {"decay_coupled": "decay", "epsilon_uncorrected": "epsilon"}
#: What no option of a framework's own optimizer changes.
_INHERENT = {"epsilon_uncorrected"}


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
        changed = msgspec.structs.replace(a, **{field: other})
        before = difference(simulate(changed), reference)
        if before == 0.0:
            continue
        known = np.isfinite(before)
        found.append(
            Cause(
                kind=_KINDS.get(field, "optimizer"),
                harmless=field in _INHERENT,
                path_a="optimizer",
                path_b="optimizer",
                function_a=a.rule,
                function_b=b.rule,
                a=f"{_NAMES.get(field, field)} {_text(field, own)}",
                b=f"{_NAMES.get(field, field)} {_text(field, other)}",
                before=before if known else None,
                after=0.0 if known else None,
                mode="steps",
            )
        )
    return found


def _text(field: str, value: object) -> str:
    if field == "decay_coupled" and value is not None:
        return "coupled with the gradient" if value else "decoupled"
    if field == "epsilon_uncorrected":
        return "before the correction" if value else "after the correction"
    return text(value)


def simulate(update: Update) -> np.ndarray:
    """Weights after 20 steps on fixed gradients.

    SGD with momentum, Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), or RMSprop.
    """
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(_NUMBERS)
    first, second = np.zeros(_NUMBERS), np.zeros(_NUMBERS)
    rate = update.learning_rate or 0.0
    for step in range(1, _STEPS + 1):
        gradient = rng.standard_normal(_NUMBERS)
        decay = update.decay or 0.0
        if update.decay_coupled:
            gradient = gradient + decay * weights
        else:
            weights = weights * (1 - rate * decay)
        if update.rule in {"adam", "adamw"}:
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
            weights = weights - rate * gradient / (np.sqrt(second) + (update.epsilon or 0.0))
        elif update.rule == "sgd":
            momentum = update.momentum or 0.0
            first = momentum * first + gradient
            weights = weights - rate * (gradient + momentum * first if update.nesterov else first)
        else:
            return np.full(_NUMBERS, math.nan)
    return weights


# The values of A's parameters in the stored form of B.

_NEUTRAL = {"scale": 1.0, "running_variance": 1.0}


class MissingRole(NamedTuple):
    """A parameter that one side of a paired use does not have: its role, and the side that lacks it."""

    pair: PairedUse
    role: str
    lacks: str


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
                    missing.append(MissingRole(pair, role, "a"))
            elif roles[role].size == np.prod(shape, dtype=int):
                stored.store(matching.operation(stored).applied(roles[role]).reshape(shape), array)
        missing += [MissingRole(pair, role, "b") for role in roles if role not in pair.b.parameters]
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


# What differs in training: gradients, losses and parameters after some steps.

#: Two losses have the ratio of the batch size, as far as other differences leave it.
_LOSS_RATIO_TOLERANCE = 0.3
_LEAST_LOSS = 1e-30


def worst_parameter(
    matching: Matching,
    of_a: Mapping[str, np.ndarray],
    of_b: Mapping[str, np.ndarray],
    *,
    gradients: bool = False,
) -> tuple[float, str]:
    """The largest difference of paired arrays, relative to the largest number of all, and B's layer."""
    worst, where = 0.0, ""
    scale = max((float(np.abs(array).max()) for array in of_a.values() if array.size), default=1.0) or 1.0
    pairs = [
        (stored, pair.b.parameters[role], pair.b.path)
        for pair in matching.pairs
        for role, stored in pair.a.parameters.items()
        if role in pair.b.parameters and not role.startswith("running")
    ]
    pairs += [(stored, other, other.name) for stored, other in matching.free]
    for stored, other, path in pairs:
        if stored.name not in of_a or other.name not in of_b:
            continue
        one, two = stored.canonical(of_a[stored.name]), other.canonical(of_b[other.name])
        operation = matching.operation(other)
        one = operation.moved(one) if gradients else operation.applied(one)
        gap = np.inf
        if one.size == two.size:
            gap = _never_nan(float(np.abs(one.ravel() - two.ravel()).max(initial=0.0)) / scale)
        if gap > worst:
            worst, where = gap, path or other.name
    return worst, where


def worst_loss(of_a: Sequence[float], of_b: Sequence[float]) -> float:
    """The largest relative difference of the losses of the same steps."""
    pairs = zip(of_a, of_b, strict=False)
    gaps = (_never_nan(abs(one - other) / max(abs(one), _LEAST_LOSS)) for one, other in pairs)
    return max(gaps, default=0.0)


def _never_nan(gap: float) -> float:
    """The gap, infinite where it is no number: comparisons with NaN are false, and would hide it."""
    return np.inf if np.isnan(gap) else gap


def loss_causes(loss_a: float, loss_b: float, batch: int) -> list[Cause]:
    """Whether one loss is the sum and the other the mean over the batch."""
    if not loss_a or not loss_b:
        return []
    ratio = loss_b / loss_a
    for factor, texts in ((batch, ("averaged", "summed")), (1 / batch, ("summed", "averaged"))):
        if abs(ratio / factor - 1) < _LOSS_RATIO_TOLERANCE:
            after = abs(loss_b / factor - loss_a) / abs(loss_a)
            return [
                Cause(
                    kind="loss",
                    path_a="loss",
                    path_b="loss",
                    a=texts[0],
                    b=texts[1],
                    before=abs(ratio - 1),
                    after=after,
                    mode="steps",
                )
            ]
    return []


def two_biases(matching: Matching) -> list[Cause]:
    """Recurrent layers of which one side trains two biases whose sum counts: it moves twice as fast."""
    for pair in matching.pairs:
        one, other = (
            {role for role in use.parameters if role.startswith("recurrent_bias")} for use in (pair.a, pair.b)
        )
        if pair.a.kind == pair.b.kind == "Recurrent" and one != other:
            texts = [f"{len(roles)} second biases" if roles else "one bias a gate" for roles in (one, other)]
            return [
                Cause(
                    kind="two biases",
                    path_a=pair.a.path,
                    path_b=pair.b.path,
                    a=texts[0],
                    b=texts[1],
                    mode="steps",
                    harmless=True,
                )
            ]
    return []


def lacking_in_a(missing: Sequence[MissingRole]) -> list[Cause]:
    """Parameters that B trains and A does not have."""
    return [
        Cause(
            kind="missing bias" if "bias" in each.role or each.role == "shift" else "missing scale",
            path_a=each.pair.a.path,
            path_b=each.pair.b.path,
            a=f"no {each.role}",
            b=each.role,
        )
        for each in missing
        if each.lacks == "a"
    ]
