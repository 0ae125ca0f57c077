"""Losses, optimizers and their rules."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from harness.tracing.side import Loss, OwnTraining, Update
from harness_torch.port.layouts import named_outputs, outside

Tensor = torch.Tensor


def loss_of(name: Loss) -> Callable[[Any, Tensor], Tensor]:
    """A loss of the first output, classes on the last axis, averaged over everything."""

    def cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
        logits = first(outputs)
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).long())

    def squared_error(outputs: Any, targets: Tensor) -> Tensor:
        output = first(outputs)
        return functional.mse_loss(output, targets.to(output.dtype).reshape(output.shape))

    return cross_entropy if name == "cross-entropy" else squared_error


def first(outputs: Any) -> Tensor:
    """The first tensor that a model returned, channels last.

    Raises:
        ValueError: there is none.
    """
    for _, output in named_outputs(outputs):
        return outside(output)
    raise ValueError("the model returns no tensor")


def own_loss(own: OwnTraining, name: Loss) -> Callable[[Any, Tensor], Tensor]:
    """The user's loss of what the model returns, or the named one."""
    return loss_of(name) if own.make_loss is None else own.make_loss()


def own_optimizer(own: OwnTraining, parameters: Iterable[Tensor], learning_rate: float) -> Any:
    """The user's optimizer, or SGD."""
    if own.make_optimizer is None:
        return torch.optim.SGD(list(parameters), lr=learning_rate)
    return own.make_optimizer(parameters)


def to_targets(targets: np.ndarray) -> Tensor:
    """Targets as float64 or int64."""
    kind = np.float64 if targets.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.array(targets, dtype=kind))


def rule_of(optimizer: Any) -> Update:
    """The rule of an optimizer of ``torch.optim``, read from its first group."""
    group = optimizer.param_groups[0]
    name = type(optimizer).__name__
    if not type(optimizer).__module__.startswith("torch.optim") or name not in _READERS:
        return Update(rule="unknown", learning_rate=_float(group.get("lr")))
    return _READERS[name](group)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _sgd(group: dict[str, Any]) -> Update:
    return Update(
        rule="sgd",
        learning_rate=float(group["lr"]),
        momentum=float(group["momentum"]),
        nesterov=bool(group["nesterov"]),
        decay=float(group["weight_decay"]),
        decay_coupled=True,
    )


def _adam(group: dict[str, Any]) -> Update:
    beta_1, beta_2 = map(float, group["betas"])
    return Update(
        rule="adam",
        learning_rate=float(group["lr"]),
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=float(group["eps"]),
        decay=float(group["weight_decay"]),
        decay_coupled=not group.get("decoupled_weight_decay", False),
    )


def _rmsprop(group: dict[str, Any]) -> Update:
    return Update(
        rule="rmsprop",
        learning_rate=float(group["lr"]),
        momentum=float(group["momentum"]),
        beta_2=float(group["alpha"]),
        epsilon=float(group["eps"]),
        decay=float(group["weight_decay"]),
        decay_coupled=True,
    )


_READERS: dict[str, Callable[[dict[str, Any]], Update]] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adam,
    "RMSprop": _rmsprop,
}
