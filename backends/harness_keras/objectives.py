"""What is minimised, by which optimizer, on which inputs; the same for all engines.

Losses are left as terms, and the mean over them to the engine: Keras's losses as classes and its
``ops.mean`` go through float32 even where the model is float64.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.spec import Adam, Adversarial, Classification, Objective, Regression, RmsProp, Sgd, Steps, Task

Tensor = Any
#: From targets and outputs to the terms whose mean is the loss.
LossTerms = Callable[[Tensor, Tensor], Tensor]


def loss_terms(objective: Objective) -> LossTerms:
    """The terms of an objective; an adversarial one's targets are 1 for real and 0 for made."""
    match objective:
        case Classification(class_weights):
            return _weighted(class_weights) if class_weights else _cross_entropies
        case Regression():
            return _squared_errors
        case Adversarial():
            return _binary_cross_entropies


def _cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """Of classes ``(batch,)`` and logits ``(batch, classes)``: ``(batch,)``."""
    return keras.losses.sparse_categorical_crossentropy(targets, _exact(logits), from_logits=True)


def _weighted(class_weights: tuple[float, ...]) -> LossTerms:
    weights = np.array(class_weights, keras.config.floatx())

    def terms(targets: Tensor, logits: Tensor) -> Tensor:
        return _cross_entropies(targets, logits) * ops.take(ops.convert_to_tensor(weights), targets)

    return terms


def _squared_errors(targets: Tensor, outputs: Tensor) -> Tensor:
    """Of values and outputs, both ``(batch, outputs)``: the same shape."""
    return ops.square(_exact(outputs) - targets)


def _binary_cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """Of targets and logits, both ``(batch, 1)``: the same shape."""
    return ops.binary_crossentropy(_exact(targets), _exact(logits), from_logits=True)


def _exact(values: Tensor) -> Tensor:
    """What was computed in bfloat16, or made to match that, in the precision of the loss."""
    return ops.cast(values, keras.config.floatx())


def optimizer(engine: ModuleType, task: Task) -> keras.optimizers.Optimizer:
    """The task's optimizer exactly as its docstring in :mod:`harness.spec` pins it."""
    # On TensorFlow Keras reads a Python float as float32; NumPy's float keeps all its digits.
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
    """What a model's ``train_step`` is given, a row a step: ``rows`` and the draws that there are."""
    every = {
        "rows": steps.indices,
        "latents": steps.latents,
        "flips": steps.flips,
        "offsets": steps.offsets,
    }
    return {name: array for name, array in every.items() if array is not None}


def is_augmented(step: Mapping[str, Tensor]) -> bool:
    """Whether a step says how its pictures are to be changed."""
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
