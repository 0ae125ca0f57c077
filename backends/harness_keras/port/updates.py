"""The rule of a Keras optimizer."""

from typing import Any

import keras

from harness.tracing.side import STEPS_WITH_RATES, Update


def update_of(optimizer: Any, model: Any) -> Update:
    """What the optimizer does to the model's weights; ``unknown`` if it is none that is known."""
    reading = _READINGS.get(type(optimizer))
    if reading is None:
        return Update("unknown")
    rule, fields = reading(optimizer)
    decay, coupled = _decay(optimizer, model)
    return Update(
        rule,
        learning_rate=float(optimizer.learning_rate),
        decay=decay,
        decay_coupled=coupled,
        rates=_rates(optimizer),
        clip_norm=optimizer.global_clipnorm,
        clip_each_norm=optimizer.clipnorm,
        clip_value=optimizer.clipvalue,
        **fields,
    )


def _rates(optimizer: Any) -> list[float]:
    """The learning rates of the first steps, if they change."""
    schedule = optimizer._learning_rate  # noqa: SLF001  the property gives the rate of this step alone
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return []
    return [float(schedule(step)) for step in range(STEPS_WITH_RATES)]


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
    return "sgd", {
        "momentum": float(optimizer.momentum),
        "nesterov": bool(optimizer.nesterov),
        "momentum_holds_rate": True,
    }


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
        "momentum_holds_rate": True,
        "epsilon": float(optimizer.epsilon),
        "epsilon_inside": True,
    }


_READINGS = {
    keras.optimizers.SGD: _sgd,
    keras.optimizers.Adam: _adam,
    keras.optimizers.AdamW: _adam,
    keras.optimizers.RMSprop: _rmsprop,
}
