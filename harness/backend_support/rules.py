"""The rules of a training step over an array namespace ``xp``: losses, penalty, clipping, decay, optimizers.

``xp`` is a module with functions of NumPy's names: ``numpy``, ``jax.numpy``, ``torch``, ``mlx.core``. Scalars
that meet arrays are Python floats or arrays without axes, which keep the arrays' type.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from harness.spec import (
    Adam,
    BinaryClassification,
    Classification,
    Objective,
    Optimizer,
    Penalty,
    Privacy,
    Regression,
    RmsProp,
    Sgd,
    Task,
)

#: An array of the namespace.
Array = Any
Arrays = Mapping[str, Array]
#: An optimizer's state of each parameter: arrays of its shape.
Moments = dict[str, tuple[Array, ...]]
_Kept = tuple[Array, ...]


# Losses.


def supervised_loss(
    xp: Any, objective: Objective, outputs: Array, targets: Array, class_weights: Array = None
) -> Array:
    """Compute the mean loss of a batch ``()``, as :mod:`harness.spec` defines it for each objective.

    The function computes every loss of :data:`harness.spec.LOSSES`: a backend that uses it declares them all.
    ``class_weights (classes,)`` are those of the objective as an array, None where it has none.

    Raises:
        ValueError: the objective is not supervised.
    """
    match objective:
        case Regression(loss):
            return _regression_terms(xp, loss, outputs - targets).mean()
        case BinaryClassification(_, loss):
            losses = _binary_terms(xp, loss, outputs.reshape(targets.shape), targets == 1)
        case Classification(_, smoothing, loss):
            losses = _class_terms(xp, loss, outputs, targets, smoothing)
        case _:
            raise ValueError(f"{objective} is no supervised objective")
    return (losses if class_weights is None else losses * class_weights[targets]).mean()


def _regression_terms(xp: Any, loss: str, errors: Array) -> Array:
    if loss == "mse":
        return xp.square(errors)
    sizes = xp.abs(errors)
    return sizes if loss == "mae" else xp.where(sizes <= 1.0, 0.5 * xp.square(errors), sizes - 0.5)


def _binary_terms(xp: Any, loss: str, logits: Array, positive: Array) -> Array:
    of_class_0, of_class_1 = _softplus(xp, logits), _softplus(xp, -logits)
    if loss == "mse_sigmoid":  # the errors are the probabilities of the other class
        return xp.square(xp.exp(-xp.where(positive, of_class_0, of_class_1)))
    return xp.where(positive, of_class_1, of_class_0)


def _class_terms(xp: Any, loss: str, logits: Array, targets: Array, smoothing: float) -> Array:
    is_class = targets[..., None] == xp.arange(logits.shape[-1])
    if loss != "cross_entropy":
        values = xp.exp(_log_softmax(xp, logits)) if loss == "mse_softmax" else logits
        return xp.square(xp.where(is_class, values - 1.0, values)).mean(-1)
    logs = _log_softmax(xp, logits)
    losses = -xp.where(is_class, logs, xp.zeros_like(logs)).sum(-1)
    return (1.0 - smoothing) * losses - smoothing * logs.mean(-1) if smoothing else losses


def _log_softmax(xp: Any, logits: Array) -> Array:
    largest = getattr(xp, "amax", None) or xp.max  # torch.max returns places too
    shifted = logits - largest(logits, axis=-1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(-1))[..., None]


def real_loss(xp: Any, logits: Array) -> Array:
    """Compute the binary cross-entropy with target 1 of the discriminator's logits for real pictures."""
    return _softplus(xp, -logits).mean()


def fake_loss(xp: Any, logits: Array) -> Array:
    """Compute the binary cross-entropy with target 0 of the discriminator's logits for generated pictures."""
    return _softplus(xp, logits).mean()


def _softplus(xp: Any, x: Array) -> Array:
    """Compute ``log(1 + exp(x))``."""
    return xp.logaddexp(x, xp.zeros_like(x))


def penalty_terms(xp: Any, penalty: Penalty, weights: Arrays) -> list[Array]:
    """Return the terms that ``penalty`` adds to the loss of a network with these weights; may be empty."""
    kernels = [w for name, w in weights.items() if name.endswith("kernel")]
    factors = {xp.abs: penalty.l1, xp.square: penalty.l2}
    return [factor * sum(size(w).sum() for w in kernels) for size, factor in factors.items() if factor]


# The optimizers' formulas of harness.spec: what to subtract from a parameter for a rate of 1, and the next
# moments, from the gradient, the moments, and the number of the step, counted from 1.


def _sgd(xp: Any, optimizer: Sgd, g: Array, moments: _Kept, step: Array) -> tuple[Array, _Kept]:
    del xp, step
    if not optimizer.momentum:
        return g, ()
    v = optimizer.momentum * moments[0] + g
    return g + optimizer.momentum * v if optimizer.nesterov else v, (v,)


def _adam(xp: Any, optimizer: Adam, g: Array, moments: _Kept, step: Array) -> tuple[Array, _Kept]:
    beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
    m = beta_1 * moments[0] + (1.0 - beta_1) * g
    v = beta_2 * moments[1] + (1.0 - beta_2) * xp.square(g)
    root = xp.sqrt(_corrected(xp, v, beta_2, step))
    return _corrected(xp, m, beta_1, step) / (root + optimizer.epsilon), (m, v)


def _rmsprop(xp: Any, optimizer: RmsProp, g: Array, moments: _Kept, step: Array) -> tuple[Array, _Kept]:
    del step
    v = optimizer.rho * moments[0] + (1.0 - optimizer.rho) * xp.square(g)
    return g / (xp.sqrt(v) + optimizer.epsilon), (v,)


def _corrected(xp: Any, moment: Array, beta: float, step: Array) -> Array:
    """Compute ``moment / (1 - beta**step)``, with a divisor that is accurate for ``beta`` near 1."""
    return moment / -xp.expm1(step * (math.log(beta) if beta else -math.inf))


_DIRECTIONS: dict[type[Optimizer], Callable[..., tuple[Array, _Kept]]] = {
    Sgd: _sgd,
    Adam: _adam,
    RmsProp: _rmsprop,
}


def moment_count(optimizer: Optimizer) -> int:
    """Return the number of moments that an optimizer keeps of each parameter, zeros before the first step."""
    return len(optimizer.slots)


# The order of a step after the gradient: clipping, decay, update.


def updated(
    xp: Any,
    task: Task,
    parameters: Arrays,
    gradients: Arrays,
    moments: Moments,
    step: Array,
    rate: Array,
) -> tuple[dict[str, Array], Moments]:
    """Update the parameters of a network and their moments in ``step``, counted from 1, at ``rate``.

    Names may be those of the task or of the network. ``step`` and ``rate`` are ``()``, of the type of the
    parameters; ``rate`` may be a Python float.
    """
    if task.clip_norm:
        gradients = clipped(xp, gradients, task.clip_norm)
    kept = 1.0 - rate * task.weight_decay
    direction_of = _DIRECTIONS[type(task.optimizer)]
    after, kept_moments = {}, {}
    for name, w in parameters.items():
        direction, kept_moments[name] = direction_of(xp, task.optimizer, gradients[name], moments[name], step)
        decayed = kept * w if task.weight_decay and task.is_decayed(name) else w
        after[name] = decayed - rate * direction
    return after, kept_moments


def private_gradients(
    xp: Any,
    privacy: Privacy,
    gradients: Arrays,
    included: Array,
    noise: Arrays,
    batch_size: int,
    squares: Callable[[Array], Array] | None = None,
) -> dict[str, Array]:
    """Compute the gradient of a step of DP-SGD from the gradients ``(batch, *shape)`` of its samples.

    See :class:`Privacy`. ``included (batch,)`` marks the samples; ``noise`` are standard normal draws of the
    parameters' shapes. ``squares``, the sums of squares of the rows of a matrix, may be given where a
    framework has a faster way.
    """
    squares = squares or (lambda g: xp.square(g).sum(1))
    rows = {name: g.reshape(len(included), -1) for name, g in gradients.items()}
    norms = xp.sqrt(sum(squares(g) for g in rows.values()))
    factors = xp.where(included, privacy.clip / xp.clip(norms, privacy.clip, None), xp.zeros_like(norms))
    size = privacy.noise * privacy.clip
    return {
        name: ((factors @ g).reshape(noise[name].shape) + size * noise[name]) / batch_size
        for name, g in rows.items()
    }


def clipped(xp: Any, gradients: Arrays, largest: float) -> dict[str, Array]:
    """Scale all gradients so that their joint norm is at most ``largest``."""
    norm = xp.sqrt(sum(xp.square(gradient).sum() for gradient in gradients.values()))
    factor = largest / xp.clip(norm, largest, None)
    return {name: factor * gradient for name, gradient in gradients.items()}
