"""Update rules of optimizers in NumPy, and the options in which two optimizers differ."""

import math
from typing import Any

import msgspec
import numpy as np

from harness.port.cause_kinds import text
from harness.port.record import Cause
from harness.port.values import difference
from harness.tracing.side import STEPS_WITH_RATES, Update

_NUMBERS = 64
#: The change of the weights by rounding alone.
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
#: Differences that no option of a framework's optimizer removes are harmless if they move the weights by
#: less, as the place of Adam's epsilon usually does; the place of RMSprop's epsilon moves them by more.
_NOTICED = 1e-4
_INHERENT = {"epsilon_uncorrected", "epsilon_inside", "momentum_holds_rate"}


def causes_of(a: Update, b: Update) -> list[Cause]:
    """Find the options in which two optimizers differ, with the change that each makes in 20 steps."""
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
    """Format the value of a field; for learning rates, the rate at the first step that differs."""
    if field == "rates":
        step = next(step for step, (one, two) in enumerate(zip(value, other, strict=True)) if one != two)
        return f"{text(value[step])} at step {step + 1}"
    if field in _WORDS:
        return _WORDS[field][bool(value)]
    return text(value)


def _rates(update: Update) -> list[float]:
    """List the learning rate of each step."""
    return update.rates or [update.learning_rate or 0.0] * STEPS_WITH_RATES


def simulate(update: Update) -> np.ndarray:
    """Compute the weights of two variables after 20 steps on fixed gradients.

    SGD with momentum, Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), or RMSprop.
    """
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(_NUMBERS)
    first, second = np.zeros(_NUMBERS), np.zeros(_NUMBERS)
    momentum = update.momentum or 0.0
    for step, rate in enumerate(_rates(update), 1):
        gradient = _clipped(rng.standard_normal(_NUMBERS), update)
        # The factor inside the sum of the momentum, and the factor of the sum in a step.
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
