"""The rule of a Keras optimizer."""

from typing import Any

import keras

from harness.tracing.side import Update


def update_of(optimizer: Any, model: Any) -> Update:
    """What the optimizer does to the model's weights; ``unknown`` if it is none that is known."""
    reading = _READINGS.get(type(optimizer))
    if reading is None:
        return Update("unknown")
    rule, fields = reading(optimizer)
    decay, coupled = _decay(optimizer, model)
    return Update(
        rule, learning_rate=float(optimizer.learning_rate), decay=decay, decay_coupled=coupled, **fields
    )


def _decay(optimizer: Any, model: Any) -> tuple[float | None, bool | None]:
    if optimizer.weight_decay:
        return float(optimizer.weight_decay), False
    factors = [_l2(variable) for variable in model.trainable_variables]
    if factors and factors[0] and len(set(factors)) == 1:
        # The penalty ``l2 * w ** 2`` adds ``2 * l2 * w`` to the gradient.
        return 2 * factors[0], True
    return None, None


def _l2(variable: keras.Variable) -> float:
    regularizer = getattr(variable, "regularizer", None)
    if isinstance(regularizer, keras.regularizers.L2):
        return float(regularizer.l2)
    return 0.0


def _sgd(optimizer: Any) -> tuple[str, dict[str, Any]]:
    return "sgd", {"momentum": float(optimizer.momentum), "nesterov": bool(optimizer.nesterov)}


def _adam(optimizer: Any) -> tuple[str, dict[str, Any]]:
    rule = "amsgrad" if optimizer.amsgrad else "adam"
    return rule, {
        "beta_1": float(optimizer.beta_1),
        "beta_2": float(optimizer.beta_2),
        "epsilon": float(optimizer.epsilon),
        "epsilon_uncorrected": True,
    }


def _rmsprop(optimizer: Any) -> tuple[str, dict[str, Any]]:
    rule = "rmsprop-centered" if optimizer.centered else "rmsprop"
    return rule, {
        "beta_2": float(optimizer.rho),
        "momentum": float(optimizer.momentum),
        "epsilon": float(optimizer.epsilon),
    }


_READINGS = {
    keras.optimizers.SGD: _sgd,
    keras.optimizers.Adam: _adam,
    keras.optimizers.AdamW: _adam,
    keras.optimizers.RMSprop: _rmsprop,
}
