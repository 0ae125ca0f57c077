"""Losses, optimizers and inputs, the same for all engines.

Losses are returned as terms, whose mean the engine computes: Keras's loss classes and its ``ops.mean`` go
through float32 even in a float64 model.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.spec import Adam, Adversarial, Classification, Objective, Regression, RmsProp, Sgd, Steps, Task

Tensor = Any
#: Maps targets and outputs to the terms whose mean is the loss.
LossTerms = Callable[[Tensor, Tensor], Tensor]


def loss_terms(objective: Objective) -> LossTerms:
    """The terms of an objective; adversarial targets are 1 for real and 0 for generated pictures."""
    match objective:
        case Classification(class_weights):
            return _weighted(class_weights) if class_weights else _cross_entropies
        case Regression():
            return _squared_errors
        case Adversarial():
            return _binary_cross_entropies


def _cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """From classes ``(batch,)`` and logits ``(batch, classes)`` to ``(batch,)``."""
    return keras.losses.sparse_categorical_crossentropy(targets, _exact(logits), from_logits=True)


def _weighted(class_weights: tuple[float, ...]) -> LossTerms:
    weights = np.array(class_weights, keras.config.floatx())

    def terms(targets: Tensor, logits: Tensor) -> Tensor:
        return _cross_entropies(targets, logits) * ops.take(ops.convert_to_tensor(weights), targets)

    return terms


def _squared_errors(targets: Tensor, outputs: Tensor) -> Tensor:
    """From values and outputs, both ``(batch, outputs)``, to the same shape."""
    return ops.square(_exact(outputs) - targets)


def _binary_cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """From targets and logits, both ``(batch, 1)``, to the same shape."""
    return ops.binary_crossentropy(_exact(targets), _exact(logits), from_logits=True)


def _exact(values: Tensor) -> Tensor:
    """Values in the precision of the loss, which may have been computed in bfloat16."""
    return ops.cast(values, keras.config.floatx())


def optimizer(engine: ModuleType, task: Task) -> keras.optimizers.Optimizer:
    """The task's optimizer exactly as its docstring in :mod:`harness.spec` defines it."""
    # On TensorFlow Keras converts a Python float to float32; a NumPy float keeps all digits.
    decay = {"weight_decay": np.float64(task.weight_decay)} if task.weight_decay else {}
    match task.optimizer:
        case Sgd(rate, momentum, nesterov):
            made = keras.optimizers.SGD(rate, np.float64(momentum), nesterov=nesterov, **decay)
        case Adam(rate, beta_1, beta_2, epsilon):
            made = engine.Adam(rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **decay)
        case RmsProp(rate, rho, epsilon):
            made = engine.RmsProp(rate, rho=rho, epsilon=epsilon, **decay)
    made.exclude_from_weight_decay(var_names=["bias"])
    return made


def by_name(steps: Steps) -> dict[str, np.ndarray]:
    """The inputs of a model's ``train_step``, one row per step: ``rows``, and the draws that exist."""
    every = {
        "rows": steps.indices,
        "latents": steps.latents,
        "flips": steps.flips,
        "offsets": steps.offsets,
    }
    return {name: array for name, array in every.items() if array is not None}


def is_augmented(step: Mapping[str, Tensor]) -> bool:
    """Whether a step augments its pictures."""
    return "flips" in step or "offsets" in step


def windows(step: Mapping[str, Tensor], height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The sample, row and column of each pixel of an augmented batch in the padded pictures.

    Three index tensors that broadcast to ``(batch, height, width)``.
    """
    rows = step["rows"]
    dtype = keras.backend.standardize_dtype(rows.dtype)
    y, x = ops.arange(height, dtype=dtype)[None], ops.arange(width, dtype=dtype)[None]
    if "flips" in step:
        x = ops.where(step["flips"][:, None], width - 1 - x, x)
    if "offsets" in step:
        y, x = y + step["offsets"][:, :1], x + step["offsets"][:, 1:]
    return rows[:, None, None], y[:, :, None], x[:, None, :]
