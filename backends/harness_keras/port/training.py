"""Losses of a model and their gradients in each engine, and the rule of an optimizer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from harness.tracing.side import STEPS_WITH_RATES, Loss, OwnTraining, Update

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
    return _GRADIENTS[keras.config.backend()](loss, variables, inputs)


def _tensorflow(loss: Any, variables: Any, inputs: Any) -> Any:
    import tensorflow as tf

    floating = [tensor for tensor in inputs if tensor.dtype.is_floating]
    with tf.GradientTape() as tape:
        for tensor in floating:
            tape.watch(tensor)
        value = loss(inputs)
    made = tape.gradient(value, [variable.value for variable in variables] + floating)
    made = [None if each is None else tf.convert_to_tensor(each) for each in made]
    left = iter(made[len(variables) :])
    return value, made[: len(variables)], [next(left) if t.dtype.is_floating else None for t in inputs]


def _torch(loss: Any, variables: Any, inputs: Any) -> Any:
    import torch

    values = [variable.value for variable in variables]
    inputs = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    floating = [x for x in inputs if x.is_floating_point()]
    value = loss(inputs)
    made = torch.autograd.grad(value, values + floating, allow_unused=True)
    left = iter(made[len(values) :])
    return (
        value.detach(),
        made[: len(values)],
        [next(left) if x.is_floating_point() else None for x in inputs],
    )


def _jax(loss: Any, variables: Any, inputs: Any) -> Any:
    import jax
    import jax.numpy as jnp

    places = [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)]

    def of(values: Any, floating: Any) -> Any:
        given = list(inputs)
        for place, x in zip(places, floating, strict=True):
            given[place] = x
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            value = loss(given)
        changed = [scope.get_current_value(variable) for variable in of_state]
        return value, changed

    known = {id(variable) for variable in variables}
    # What the model changes by itself, such as running statistics.
    of_state = [variable for variable in loss.state if id(variable) not in known]
    values = [variable.value for variable in variables]
    floating = [inputs[place] for place in places]
    (value, changed), (of_values, of_inputs) = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(
        values, floating
    )
    for variable, new in zip(of_state, changed, strict=True):
        if new is not None:
            variable.assign(new)
    by_place = dict(zip(places, of_inputs, strict=True))
    return value, list(of_values), [by_place.get(i) for i in range(len(inputs))]


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
