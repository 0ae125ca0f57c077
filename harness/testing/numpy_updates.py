"""What an update subtracts from the weights, in plain NumPy: clipping, and each optimizer's step."""

import math

import numpy as np

from harness.spec.task import Adam, Optimizer, RmsProp, Sgd, Task
from harness.testing.numpy_arrays import Array, Gradients
from harness.testing.numpy_rules import Rules


def clipped(gradients: Gradients, norm: float, rules: Rules) -> Gradients:
    """The gradients of a network, of which together none is longer than ``norm``; 0: as they are."""
    if not norm:
        return gradients
    if rules.clipped == "each value":
        return {name: np.clip(g, -norm, norm) for name, g in gradients.items()}
    lengths = {name: float((g**2).sum()) for name, g in gradients.items()}
    if rules.clipped != "each array":
        lengths = dict.fromkeys(lengths, math.fsum(lengths.values()))
    if rules.clipped == "by norm + 1e-6":
        return {name: g * min(1.0, norm / (math.sqrt(lengths[name]) + 1e-6)) for name, g in gradients.items()}
    return {name: g * (norm / max(math.sqrt(lengths[name]), norm)) for name, g in gradients.items()}


def kept_share(task: Task, name: str, rate: float, rules: Rules) -> float:
    """The share of a parameter that weight decay leaves in a step."""
    decays = rules.decays == "all" or task.is_decayed(name)
    return 1 - rate * task.weight_decay if decays else 1.0


def change(
    optimizer: Optimizer, g: Array, moments: tuple[Array, Array], t: int, rate: float, rules: Rules
) -> Array:
    """What step ``t``, counted from 1, subtracts from a weight; updates the moments in place."""
    m, v = moments
    match optimizer:
        case Sgd():
            if rules.momentum == "steps":
                m[...] = optimizer.momentum * m + rate * g
                return rate * g + optimizer.momentum * m if optimizer.nesterov else m.copy()
            m[...] = optimizer.momentum * m + g
            return rate * (g + optimizer.momentum * m if optimizer.nesterov else m)
        case Adam():
            beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
            m[...] = beta_1 * m + (1 - beta_1) * g
            v[...] = beta_2 * v + (1 - beta_2) * g**2
            root = np.sqrt(v / (1 - beta_2**t))
            return rate * (m / (1 - beta_1**t)) / (root + optimizer.epsilon)
        case RmsProp():
            v[...] = optimizer.rho * v + (1 - optimizer.rho) * g**2
            return rate * g / (np.sqrt(v) + optimizer.epsilon)
