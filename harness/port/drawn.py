"""Targets, batches and parameters with which two models are compared."""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.core.models.reading import random_inputs
from harness.tracing.calls import InputShape, Loss, Trace
from harness.tracing.side import Batch

_SEED, _FIRST_SEED = 0, 10
#: Parameters are moved by this share of their spread: none is zero or one, so that an ignored one is seen.
_MOVED_SHARE = 0.1
_LEAST_SPREAD = 0.5


def targets(output: np.ndarray, loss: Loss, seed: int = _SEED) -> np.ndarray:
    """Draw targets for ``output`` (batch, ..., classes): classes, or for ``mse`` numbers of its shape."""
    rng = np.random.default_rng([seed, 1, len(output)])
    if loss == "mse":
        return rng.standard_normal(output.shape)
    classes = rng.integers(0, output.shape[-1], output.shape[:-1])
    # Include the first and the last class, which a loss may leave out.
    classes.flat[:2] = (0, output.shape[-1] - 1)[: classes.size]
    return classes


def batches(
    shapes: Sequence[InputShape], batch: int, steps: int, output: np.ndarray, loss: Loss
) -> list[Batch]:
    """Draw inputs and targets of each training step, for outputs like ``output``."""
    return [
        (random_inputs(shapes, batch, _FIRST_SEED + step), targets(output[:batch], loss, _FIRST_SEED + step))
        for step in range(steps)
    ]


def moved(
    parameters: Mapping[str, np.ndarray], trained: Sequence[str], trace: Trace
) -> dict[str, np.ndarray]:
    """Move all trained parameters and running statistics off their values, and return the new values.

    Other stored arrays, such as tables of positions, are not returned.
    """
    roles = {
        stored.name: role
        for call in trace.calls
        for role, stored in call.parameters.items()
        if role in {"running_mean", "running_variance"}
    }
    rng = np.random.default_rng([_SEED, 2])
    values = {}
    for name, array in parameters.items():
        noise = rng.standard_normal(array.shape)
        if roles.get(name) == "running_variance":
            values[name] = 0.5 + rng.random(array.shape)
        elif name in roles or name in trained:
            spread = float(array.std()) if array.size > 1 else 0.0
            values[name] = array + _MOVED_SHARE * (spread or _LEAST_SPREAD) * noise
    return values
