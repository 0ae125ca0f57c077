"""Update rules of optimizers in NumPy, to show what a difference of options does."""

import math

import msgspec
import numpy as np

from harness.port.alternatives import text
from harness.port.findings import Cause
from harness.port.values import difference
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
