"""The rules of a Keras optimizer by parameter, and its updates with epsilon and momentum as in PyTorch."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops, optimizers

from harness.tracing.side import RATED_STEPS, Update, Updates

Tensor = Any


class _Rule(NamedTuple):
    """A rule, the names of its options by those of :class:`Update`, and the fields that are always True."""

    name: str
    options: dict[str, str]
    inherent: tuple[str, ...]


_BETAS = {"beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon", "amsgrad": "amsgrad"}
_RULES = {
    optimizers.SGD: _Rule("sgd", {"momentum": "momentum", "nesterov": "nesterov"}, ("momentum_holds_rate",)),
    optimizers.Adam: _Rule("adam", _BETAS, ("epsilon_uncorrected",)),
    optimizers.AdamW: _Rule("adam", _BETAS, ("epsilon_uncorrected",)),
    optimizers.RMSprop: _Rule(
        "rmsprop",
        {"beta_2": "rho", "momentum": "momentum", "epsilon": "epsilon", "centered": "centered"},
        ("momentum_holds_rate", "epsilon_inside"),
    ),
}

#: Optimizers of groups of variables, which early releases of Keras lack.
_GROUPS = getattr(optimizers, "MultiOptimizer", ())


def _known(optimizer: Any) -> type | None:
    """Return the class of a known rule; an engine may have a subclass of the same name."""
    kind = type(optimizer)
    of_keras = kind.__module__.startswith("keras.")
    return next((each for each in _RULES if of_keras and kind.__name__ == each.__name__), None)


def _inner(optimizer: Any) -> Any:
    """Return the optimizer whose loss is scaled, or else the optimizer itself."""
    return optimizer.inner_optimizer if isinstance(optimizer, optimizers.LossScaleOptimizer) else optimizer


# The rules.


def rules_of(optimizer: Any, variables: Mapping[str, keras.Variable]) -> Updates:
    """Read the rule of each of ``variables``; it is ``unknown`` if the optimizer is of no known class."""
    optimizer = _inner(optimizer)
    if isinstance(optimizer, _GROUPS):
        own = {name: optimizer._optimizer_map(each) for name, each in variables.items()}  # noqa: SLF001
    else:
        own = dict.fromkeys(variables, optimizer)
    rates = {id(each): _rates(each) for each in own.values()}
    return {name: _rule_of(own[name], each, rates[id(own[name])]) for name, each in variables.items()}


def _rule_of(optimizer: Any, variable: keras.Variable, rates: tuple[float, ...]) -> Update:
    known = _known(optimizer)
    decay = None if known is None else _decay(optimizer, variable)
    if known is None or decay is None:
        return Update("unknown")
    rule = _RULES[known]
    options: dict[str, Any] = {field: getattr(optimizer, own) for field, own in rule.options.items()}
    return Update(
        rule.name,
        learning_rate=float(optimizer.learning_rate),
        decay=decay[0],
        decay_coupled=decay[1],
        rates=rates,
        clip_norm=optimizer.global_clipnorm,
        clip_each_norm=optimizer.clipnorm,
        clip_value=optimizer.clipvalue,
        **options,
        **dict.fromkeys(rule.inherent, True),
    )


def _rates(optimizer: Any) -> tuple[float, ...]:
    """Return the learning rates of the rated steps, if they change, as far as the schedule goes."""
    # The property gives the rate of this step alone.
    schedule = optimizer._learning_rate if _known(optimizer) else None  # noqa: SLF001
    rates: list[float] = []
    if isinstance(schedule, optimizers.schedules.LearningRateSchedule):
        with contextlib.suppress(Exception):  # the user's code may have made it
            rates.extend(float(schedule(step)) for step in RATED_STEPS)
    return tuple(rates)


def _decay(optimizer: Any, variable: keras.Variable) -> tuple[float, bool] | None:
    """Return the decay of ``variable``, and True if it is coupled; None if it is more than one number."""
    regularizer = getattr(variable, "regularizer", None)
    decay = optimizer.weight_decay
    if decay:
        # A name that excludes a variable is searched in that of the engine's own variable.
        searched = variable.value if keras.config.backend() == "tensorflow" else variable
        decay = decay if optimizer._use_weight_decay(searched) else 0.0  # noqa: SLF001  no public way
    if regularizer is None:
        return float(decay or 0.0), False
    if decay or not isinstance(regularizer, keras.regularizers.L2):
        return None
    # The penalty ``l2 * w ** 2`` adds ``2 * l2 * w`` to the gradient.
    return 2 * float(regularizer.l2), True


# Updates with epsilon and momentum as in PyTorch.

#: In the place of a rate of zero, after which a momentum of steps would remember nothing.
_LEAST_RATE = 1e-200


def align(optimizer: Any) -> None:
    """Place epsilon and the rate of the momentum as PyTorch does, in an ``optimizer`` that is built."""
    optimizer = _inner(optimizer)
    for each in optimizer.optimizers if isinstance(optimizer, _GROUPS) else [optimizer]:
        known = _known(each)
        if known is not None:
            each._backend_update_step = _Aligned(each, known)  # noqa: SLF001  called after clipping and decay


class _Aligned:
    """The update of an optimizer of class ``known``, with the fields that are always True undone."""

    def __init__(self, optimizer: Any, known: Any) -> None:
        self._optimizer, self._known = optimizer, known
        self._epsilon = getattr(optimizer, "epsilon", 0.0)
        self._rate: Tensor | None = None

    def __call__(self, gradients: Sequence[Tensor], variables: Sequence[Any], rate: Tensor) -> None:
        optimizer = self._optimizer
        accumulated = optimizer.gradient_accumulation_steps or 1
        if (int(optimizer._iterations) + 1) % accumulated:  # noqa: SLF001
            return  # the engine of JAX computes an update in every step, and discards it
        if self._known in {optimizers.SGD, optimizers.RMSprop}:
            rate = ops.maximum(ops.cast(rate, keras.config.floatx()), _LEAST_RATE)
            for momentum in self._momenta() if self._rate is not None else ():
                momentum.assign(momentum * ops.cast(rate / self._rate, momentum.dtype))
            self._rate = rate
        for gradient, variable in zip(gradients, variables, strict=True):
            if self._epsilon:
                optimizer.epsilon = self._epsilon_of(ops.convert_to_tensor(gradient), variable)
            self._known.update_step(optimizer, gradient, variable, rate)

    def _momenta(self) -> Iterator[keras.Variable]:
        held = self._optimizer.momentums if self._known is optimizers.SGD else self._optimizer._momentums  # noqa: SLF001
        return (each for each in held if each is not None)

    def _epsilon_of(self, gradient: Tensor, variable: Any) -> Tensor:
        """Return the epsilon that has in Keras's place the effect of PyTorch's epsilon."""
        optimizer, epsilon = self._optimizer, self._epsilon
        if self._known is not optimizers.RMSprop:
            step = int(optimizer.iterations) + 1
            return epsilon * (1 - optimizer.beta_2**step) ** 0.5
        place = optimizer._get_variable_index(variable)  # noqa: SLF001
        square = self._mean(optimizer._velocities[place], gradient * gradient)  # noqa: SLF001
        if optimizer.centered:
            square -= self._mean(optimizer._average_gradients[place], gradient) ** 2  # noqa: SLF001
        # (root + epsilon)² = square + 2 root epsilon + epsilon²
        return 2 * ops.sqrt(square) * epsilon + epsilon**2

    def _mean(self, before: Any, value: Tensor) -> Tensor:
        """Return a moving average as the coming update computes it."""
        return self._optimizer.rho * before + (1 - self._optimizer.rho) * value
