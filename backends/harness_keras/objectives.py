"""Losses, penalties, optimizers and inputs, the same for all engines.

Losses are returned as terms, whose mean the engine computes: Keras's loss classes and its ``ops.mean`` go
through float32 even in a float64 model.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import keras
import msgspec
import numpy as np
from keras import ops

from harness import spec
from harness.backend_support import feeding, rules
from harness.layers import GRU, LSTM, Dropout
from harness.spec import Task, Unsupported
from harness.tracing.user_code import own_callable

Tensor = Any
#: Maps targets and outputs to the terms whose mean is the loss.
LossTerms = Callable[[Tensor, Tensor], Tensor]


class OnDevice:
    """What the models of all engines have whose steps take the rows of a batch in data on the device.

    ``draws_from_engine`` says whether a step may draw from the engine's own generator of random numbers.
    ``rates`` are the learning rates of the coming steps, where the engine takes them as numbers.
    """

    loss_names: tuple[str, ...] = ("loss",)
    loss_terms: LossTerms
    privacy: spec.Privacy | None
    batch_size: int
    inputs_on_device: Tensor
    targets_on_device: Tensor
    crop: int
    draws_from_engine: bool
    rates: Iterator[float] | None = None


class TwoNetworks(OnDevice, keras.Model):
    """A generator and a discriminator."""

    loss_names = ("discriminator_loss", "generator_loss")

    def __init__(self, generator: keras.Model, discriminator: keras.Model, jit_compile: bool | str) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.built = True
        self.compile(optimizer=None, jit_compile=jit_compile)


def loss_terms(task: Task) -> LossTerms:
    """Return the terms of a task's loss; adversarial targets are 1 for real and 0 for generated pictures."""
    own = feeding.own_part(task, "loss", own_callable)
    if own is not None:
        return lambda targets, outputs: _exact(own(outputs, targets))
    match task.objective:
        case spec.Classification(class_weights, label_smoothing, loss):
            terms = _smoothed(label_smoothing) if label_smoothing else _CLASS_TERMS[loss]
            return _weighted(terms, class_weights)
        case spec.BinaryClassification(class_weights, loss):
            return _weighted(_BINARY_TERMS[loss], class_weights)
        case spec.Regression(loss):
            return _REGRESSION_TERMS[loss]
        case spec.Adversarial():
            return _binary_cross_entropies


def _cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """Compute the cross-entropy of each class ``(batch, ...)`` by logits ``(batch, ..., classes)``."""
    return keras.losses.sparse_categorical_crossentropy(targets, _exact(logits), from_logits=True)


def _smoothed(label_smoothing: float) -> LossTerms:
    def terms(targets: Tensor, logits: Tensor) -> Tensor:
        logits = _exact(logits)
        one_hot = ops.one_hot(targets, logits.shape[-1], dtype=logits.dtype)
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=label_smoothing
        )

    return terms


def _errors_of_softmax(targets: Tensor, logits: Tensor) -> Tensor:
    """Compute the softmax's mean squared error over the classes, as :func:`_cross_entropies`."""
    return _errors_of_logits(targets, ops.softmax(_exact(logits)))


def _errors_of_logits(targets: Tensor, values: Tensor) -> Tensor:
    values = _exact(values)
    one_hot = ops.one_hot(targets, values.shape[-1], dtype=values.dtype)
    return _class_mean(ops.square(values - one_hot))


def _class_mean(values: Tensor) -> Tensor:
    """Compute the mean over the last axis; ``ops.mean`` would go through float32."""
    return ops.sum(values, axis=-1) / values.shape[-1]


def _of_class_one(targets: Tensor, logits: Tensor) -> Tensor:
    """Compute cross-entropies ``(batch,)`` of targets ``(batch,)`` and logits of class 1 ``(batch, 1)``."""
    return _binary_cross_entropies(targets, logits[:, 0])


def _errors_of_sigmoid(targets: Tensor, logits: Tensor) -> Tensor:
    """Compute the squared errors of the sigmoid; shapes as in :func:`_of_class_one`."""
    return ops.square(ops.sigmoid(_exact(logits[:, 0])) - _exact(targets))


def _weighted(terms: LossTerms, class_weights: tuple[float, ...]) -> LossTerms:
    if not class_weights:
        return terms
    weights = np.array(class_weights, keras.config.floatx())

    def weighted(targets: Tensor, logits: Tensor) -> Tensor:
        return terms(targets, logits) * ops.take(ops.convert_to_tensor(weights), targets)

    return weighted


def _squared_errors(targets: Tensor, outputs: Tensor) -> Tensor:
    """Compute the squared errors of outputs, of the shape of both arguments, ``(batch, outputs)``."""
    return ops.square(_exact(outputs) - targets)


def _absolute_errors(targets: Tensor, outputs: Tensor) -> Tensor:
    return ops.absolute(_exact(outputs) - targets)


def _huber_errors(targets: Tensor, outputs: Tensor) -> Tensor:
    sizes = _absolute_errors(targets, outputs)
    return ops.where(sizes <= 1.0, 0.5 * ops.square(sizes), sizes - 0.5)


def _binary_cross_entropies(targets: Tensor, logits: Tensor) -> Tensor:
    """Compute the cross-entropies of targets and logits of the same shape, of that shape."""
    return ops.binary_crossentropy(_exact(targets), _exact(logits), from_logits=True)


def _exact(values: Tensor) -> Tensor:
    """Convert values, which may have been computed in bfloat16, to the precision of the loss."""
    return ops.cast(values, keras.config.floatx())


# The terms of each loss, by its name in the objective.
_CLASS_TERMS: dict[str, LossTerms] = {
    "cross_entropy": _cross_entropies,
    "mse_softmax": _errors_of_softmax,
    "mse_logits": _errors_of_logits,
}
_BINARY_TERMS: dict[str, LossTerms] = {"cross_entropy": _of_class_one, "mse_sigmoid": _errors_of_sigmoid}
_REGRESSION_TERMS: dict[str, LossTerms] = {
    "mse": _squared_errors,
    "mae": _absolute_errors,
    "huber": _huber_errors,
}


def optimizer(engine: ModuleType, task: Task, exempt: list[Any]) -> keras.optimizers.Optimizer:
    """Build the task's optimizer exactly as its docstring in :mod:`harness.spec` defines it.

    ``exempt`` are the variables that weight decay leaves unchanged. Keras's ``global_clipnorm`` is the
    contract's ``clip_norm``.
    """
    if (make := feeding.own_part(task, "optimizer", own_callable)) is not None:
        return _own_optimizer(task, make)
    options: dict[str, Any] = {}
    if task.weight_decay:
        # On TensorFlow Keras converts a Python float to float32; a NumPy float keeps all digits.
        options["weight_decay"] = np.float64(task.weight_decay)
    if task.clip_norm:
        options["global_clipnorm"] = task.clip_norm
    made = engine.OPTIMIZERS[type(task.optimizer)](**msgspec.structs.asdict(task.optimizer), **options)
    made.exclude_from_weight_decay(var_list=exempt)
    return made


def _own_optimizer(task: Task, make: Callable[..., Any]) -> keras.optimizers.Optimizer:
    own = task.own_code.optimizer if task.own_code else ""
    made: keras.optimizers.Optimizer = feeding.made_optimizer(own, make, keras.optimizers.Optimizer)
    is_scheduled = isinstance(made._learning_rate, keras.optimizers.schedules.LearningRateSchedule)  # noqa: SLF001
    if is_scheduled and task.schedule != spec.ConstantRate():
        raise Unsupported(f"{own} has a schedule of its own, which no other can change")
    return made


def own_rate(optimizer: keras.optimizers.Optimizer, task: Task) -> float:
    """Return the rate of the user's own optimizer, which the rates of the steps multiply; 1 for others."""
    if not (task.own_code and task.own_code.optimizer):
        return 1.0
    return float(ops.convert_to_numpy(optimizer.learning_rate))


def by_name(steps: spec.Steps, task: Task, own_rate: float) -> dict[str, np.ndarray]:
    """Return the inputs of ``train_step``, one row per step, by the names of :class:`harness.spec.Steps`.

    Without ``learning_rates`` the optimizer keeps its own rate, which is the same for every step.
    """
    every = feeding.draws(steps, task)
    rates = every.pop("learning_rates")
    if task.schedule != spec.ConstantRate():
        every["learning_rates"] = (own_rate * rates).astype(keras.config.floatx())
    return every


def refuse_unmapped(task: Task, *, xla: bool) -> None:
    """Raise Unsupported for DP-SGD with layers that Keras cannot map over single samples."""
    if task.privacy is None:
        return
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    if any(getattr(layer, "dropout", 0) or isinstance(layer, Dropout) for layer in layers):
        raise Unsupported(
            "Keras drops the same values in all samples where it maps over them, as DP-SGD does"
        )
    if xla and any(isinstance(layer, GRU | LSTM) for layer in layers):
        raise Unsupported("XLA does not compile recurrent layers that are mapped over samples; use mode fit")


def noise_key(position: int) -> str:
    """Return the name of the noise that a step has for the trainable variable at ``position``."""
    return f"noise_{position}"


def noise_of(
    step: Mapping[str, Tensor], shapes: list[tuple[int, ...]], drawn: Callable[[int], Tensor]
) -> list[Tensor]:
    """Return standard normal noise of these shapes: the harness's, or ``drawn(numbers)`` cut up."""
    if "noise_seeds" not in step:
        return [step[noise_key(position)] for position in range(len(shapes))]
    sizes = [math.prod(shape) for shape in shapes]
    every = drawn(sum(sizes))
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [
        ops.reshape(every[start : start + size], shape)
        for start, size, shape in zip(starts, sizes, shapes, strict=True)
    ]


def private_gradients(
    xp: Any,
    model: Any,
    each: list[Tensor],
    step: Mapping[str, Tensor],
    drawn: Callable[[int], Tensor],
    squares: Callable[[Tensor], Tensor] | None = None,
) -> list[Tensor]:
    """Compute the gradients of a step of DP-SGD from those of its samples, in the order of the variables.

    ``drawn(count)`` are standard normal draws by the step's seeds. TensorFlow, whose arrays lack NumPy's
    methods, has its own version of this function.
    """
    noise = noise_of(step, [tuple(variable.shape) for variable in model.trainable_variables], drawn)
    gradients, draws = ({str(n): array for n, array in enumerate(arrays)} for arrays in (each, noise))
    combined = rules.private_gradients(
        xp, model.privacy, gradients, step["included"], draws, model.batch_size, squares
    )
    return list(combined.values())


def penalty(variables: list[Any], values: list[Tensor]) -> Any:
    """Compute the penalty on the loss for these values of the trainable variables; 0 without a penalty."""
    pairs = zip(variables, values, strict=True)
    return sum(variable.regularizer(value) for variable, value in pairs if variable.regularizer is not None)


def windows(step: Mapping[str, Tensor], height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute :func:`harness.backend_support.feeding.windows` for pictures of this size without padding."""
    dtype = keras.backend.standardize_dtype(step["indices"].dtype)
    y, x = (ops.arange(axis, dtype=dtype) for axis in (height, width))
    return feeding.windows(ops.where, step, y, x)


@keras.saving.register_keras_serializable("harness")
class KernelPenalty(keras.regularizers.Regularizer):
    """Like Keras's L1L2, which on TensorFlow rounds the factors to float32 even in a float64 model."""

    def __init__(self, l1: float, l2: float) -> None:
        self._l1, self._l2 = l1, l2

    def __call__(self, kernel: Any) -> Any:
        total = 0.0
        if self._l1:
            total += self._l1 * ops.sum(ops.absolute(kernel))
        if self._l2:
            total += self._l2 * ops.sum(ops.square(kernel))
        return total

    def get_config(self) -> dict[str, float]:
        """Return the arguments for a copy, which ``Bidirectional`` makes."""
        return {"l1": self._l1, "l2": self._l2}
