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

from harness.spec import (
    Adam,
    Adversarial,
    BinaryClassification,
    Classification,
    ConstantRate,
    Objective,
    Regression,
    RmsProp,
    Sgd,
    Steps,
    Task,
)

Tensor = Any
#: Maps targets and outputs to the terms whose mean is the loss.
LossTerms = Callable[[Tensor, Tensor], Tensor]


def loss_terms(objective: Objective) -> LossTerms:
    """The terms of an objective; adversarial targets are 1 for real and 0 for generated pictures."""
    match objective:
        case Classification(class_weights, label_smoothing):
            terms = _smoothed(label_smoothing) if label_smoothing else _cross_entropies
            return _weighted(terms, class_weights)
        case BinaryClassification(class_weights):
            return _weighted(_of_class_one, class_weights)
        case Regression():
            return _squared_errors
        case Adversarial():
            return _binary_cross_entropies


def _cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """From classes ``(batch, ...)`` and logits ``(batch, ..., classes)`` to ``(batch, ...)``."""
    return keras.losses.sparse_categorical_crossentropy(targets, _exact(logits), from_logits=True)


def _smoothed(label_smoothing: float) -> LossTerms:
    def terms(targets: Tensor, logits: Tensor) -> Tensor:
        logits = _exact(logits)
        one_hot = ops.one_hot(targets, logits.shape[-1], dtype=logits.dtype)
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=label_smoothing
        )

    return terms


def _of_class_one(targets: Tensor, logits: Tensor) -> Tensor:
    """From targets ``(batch,)`` and logits of class 1 ``(batch, 1)`` to ``(batch,)``."""
    return _binary_cross_entropies(targets, logits[:, 0])


def _weighted(terms: LossTerms, class_weights: tuple[float, ...]) -> LossTerms:
    if not class_weights:
        return terms
    weights = np.array(class_weights, keras.config.floatx())

    def weighted(targets: Tensor, logits: Tensor) -> Tensor:
        return terms(targets, logits) * ops.take(ops.convert_to_tensor(weights), targets)

    return weighted


def _squared_errors(targets: Tensor, outputs: Tensor) -> Tensor:
    """From values and outputs, both ``(batch, outputs)``, to the same shape."""
    return ops.square(_exact(outputs) - targets)


def _binary_cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """From targets and logits of the same shape to that shape."""
    return ops.binary_crossentropy(_exact(targets), _exact(logits), from_logits=True)


def _exact(values: Tensor) -> Tensor:
    """Values in the precision of the loss, which may have been computed in bfloat16."""
    return ops.cast(values, keras.config.floatx())


def optimizer(engine: ModuleType, task: Task, exempt: list[Any]) -> keras.optimizers.Optimizer:
    """The task's optimizer exactly as its docstring in :mod:`harness.spec` defines it.

    ``exempt`` are the variables that weight decay leaves as they are. Keras's ``global_clipnorm`` is the
    contract's ``clip_norm``.
    """
    options: dict[str, Any] = {}
    if task.weight_decay:
        # On TensorFlow Keras converts a Python float to float32; a NumPy float keeps all digits.
        options["weight_decay"] = np.float64(task.weight_decay)
    if task.clip_norm:
        options["global_clipnorm"] = task.clip_norm
    match task.optimizer:
        case Sgd(rate, momentum, nesterov):
            made = engine.Sgd(rate, momentum, nesterov=nesterov, **options)
        case Adam(rate, beta_1, beta_2, epsilon):
            made = engine.Adam(rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **options)
        case RmsProp(rate, rho, epsilon):
            made = engine.RmsProp(rate, rho=rho, epsilon=epsilon, **options)
    made.exclude_from_weight_decay(var_list=exempt)
    return made


def by_name(steps: Steps, task: Task) -> dict[str, np.ndarray]:
    """The inputs of a model's ``train_step``, one row per step: ``rows``, and what else the task needs.

    Without ``rates`` the optimizer keeps its own rate, which is that of every step.
    """
    every = {
        "rows": steps.indices,
        "latents": steps.latents,
        "flips": steps.flips,
        "offsets": steps.offsets,
    }
    if task.schedule != ConstantRate():
        every["rates"] = np.asarray(steps.learning_rates, keras.config.floatx())
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
