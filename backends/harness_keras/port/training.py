"""Losses of a model and their gradients in each engine, and the rule of an optimizer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from harness.tracing.calls import Loss
from harness.tracing.side import STEPS_WITH_RATES, OwnTraining, Update

Tensor = Any
LossFunction = Callable[[Tensor, Tensor], Tensor]


class LossOf(NamedTuple):
    """The loss of a model's inputs; ``state`` are the variables that evaluating it may change."""

    outputs_of: Callable[[Sequence[Tensor]], Tensor]
    function: LossFunction
    targets: np.ndarray
    state: list[keras.Variable]
    further: Callable[[], Tensor] | None = None

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        value = self.function(ops.convert_to_tensor(self.targets), self.outputs_of(inputs))
        return value if self.further is None else value + self.further()


def own_loss(own: OwnTraining, loss: Loss) -> LossFunction:
    """The user's, as a number where it gives one for each sample; else the named one."""
    if own.make_loss is None:
        return LOSSES[loss]
    made = own.make_loss()
    return lambda targets, outputs: ops.mean(made(targets, outputs))


def _cross_entropy(targets: Tensor, outputs: Tensor) -> Tensor:
    """Of logits ``(..., classes)`` and integers ``(...)``."""
    logarithms = ops.log_softmax(outputs, axis=-1)
    chosen = ops.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return -ops.mean(ops.sum(logarithms * chosen, axis=-1))


#: Losses of (targets, outputs), averaged over all targets.
LOSSES: dict[Loss, LossFunction] = {
    "cross-entropy": _cross_entropy,
    "mse": lambda targets, outputs: ops.mean(ops.square(outputs - ops.cast(targets, outputs.dtype))),
}


# Gradients, which each engine takes in its own way.


def gradients(
    loss: LossOf, variables: Sequence[keras.Variable], inputs: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
    """The loss of these inputs, and its gradients with respect to variables and to inputs.

    Integer inputs have none, and a variable that the loss does not depend on has none.
    """
    types = [keras.backend.standardize_dtype(each.dtype) for each in inputs]
    floating = [place for place, each in enumerate(types) if keras.backend.is_float_dtype(each)]
    of_engine = _GRADIENTS[keras.config.backend()]
    value, of_variables, of_floating = of_engine(loss, variables, list(inputs), floating)
    by_place = dict(zip(floating, of_floating, strict=True))
    return value, list(of_variables), [by_place.get(place) for place in range(len(inputs))]


def _tensorflow(loss: Any, variables: Any, inputs: list[Any], floating: Sequence[int]) -> Any:
    import tensorflow as tf

    watched = [inputs[place] for place in floating]
    with tf.GradientTape() as tape:
        for tensor in watched:
            tape.watch(tensor)
        value = loss(inputs)
    made = tape.gradient(value, [variable.value for variable in variables] + watched)
    made = [None if each is None else tf.convert_to_tensor(each) for each in made]
    return value, made[: len(variables)], made[len(variables) :]


def _torch(loss: Any, variables: Any, inputs: list[Any], floating: Sequence[int]) -> Any:
    import torch

    for place in floating:
        inputs[place] = inputs[place].detach().requires_grad_()
    value = loss(inputs)
    wanted = [variable.value for variable in variables] + [inputs[place] for place in floating]
    made = torch.autograd.grad(value, wanted, allow_unused=True)
    return value.detach(), made[: len(variables)], made[len(variables) :]


def _jax(loss: Any, variables: Any, inputs: list[Any], floating: Sequence[int]) -> Any:
    import jax

    def of(values: Any, tensors: Any) -> Any:
        changed = dict(zip(floating, tensors, strict=True))
        given = [changed.get(place, each) for place, each in enumerate(inputs)]
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            value = loss(given)
        return value, [scope.get_current_value(variable) for variable in of_state]

    known = {id(variable) for variable in variables}
    # What the model changes by itself, such as running statistics.
    of_state = [variable for variable in loss.state if id(variable) not in known]
    values = [variable.value for variable in variables]
    differentiated = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)
    (value, changed), slopes = differentiated(values, [inputs[place] for place in floating])
    for variable, new in zip(of_state, changed, strict=True):
        if new is not None:
            variable.assign(new)
    return value, *slopes


_GRADIENTS = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}


# The rule of an optimizer.


def update_of(optimizer: Any, model: Any) -> Update:
    """What the optimizer does to the model's weights; ``unknown`` if it is none that is known."""
    if type(optimizer) not in _RULES:
        return Update("unknown")
    rule, names, inherent = _RULES[type(optimizer)]
    decay, coupled = _decay(optimizer, model)
    options: dict[str, Any] = {field: getattr(optimizer, own) for field, own in names.items()}
    if getattr(optimizer, "amsgrad", False):
        rule = "amsgrad"
    return Update(
        f"{rule}-centered" if getattr(optimizer, "centered", False) else rule,
        learning_rate=float(optimizer.learning_rate),
        decay=decay,
        decay_coupled=coupled,
        rates=_rates(optimizer),
        clip_norm=optimizer.global_clipnorm,
        clip_each_norm=optimizer.clipnorm,
        clip_value=optimizer.clipvalue,
        **options,
        **dict.fromkeys(inherent, True),
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
    regularizers = [getattr(variable, "regularizer", None) for variable in model.trainable_variables]
    factors = [float(each.l2) if isinstance(each, keras.regularizers.L2) else 0.0 for each in regularizers]
    if factors and factors[0] and len(set(factors)) == 1:
        # The penalty ``l2 * w ** 2`` adds ``2 * l2 * w`` to the gradient.
        return 2 * factors[0], True
    return None, None


_BETAS = {"beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"}
#: The rules of optimizers, the names of their options by those of :class:`Update`, and what is always so.
_RULES: dict[type, tuple[str, dict[str, str], tuple[str, ...]]] = {
    keras.optimizers.SGD: (
        "sgd",
        {"momentum": "momentum", "nesterov": "nesterov"},
        ("momentum_holds_rate",),
    ),
    keras.optimizers.Adam: ("adam", _BETAS, ("epsilon_uncorrected",)),
    keras.optimizers.AdamW: ("adam", _BETAS, ("epsilon_uncorrected",)),
    keras.optimizers.RMSprop: (
        "rmsprop",
        {"beta_2": "rho", "momentum": "momentum", "epsilon": "epsilon"},
        ("momentum_holds_rate", "epsilon_inside"),
    ),
}
