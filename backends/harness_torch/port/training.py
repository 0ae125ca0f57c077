"""Losses, optimizers and their rules."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch.nn import functional

from harness.tracing.side import STEPS_WITH_RATES, Loss, OwnTraining, Update
from harness_torch.port.layouts import named_outputs, outside

Tensor = torch.Tensor


def loss_of(name: Loss, output_name: str = "") -> Callable[[Any, Tensor], Tensor]:
    """A loss of an output, classes on the last axis, averaged over everything."""

    def cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
        logits = outside(chosen(outputs, output_name))
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).long())

    def squared_error(outputs: Any, targets: Tensor) -> Tensor:
        output = outside(chosen(outputs, output_name))
        return functional.mse_loss(output, targets.to(output.dtype).reshape(output.shape))

    return cross_entropy if name == "cross-entropy" else squared_error


def chosen(outputs: Any, name: str) -> Tensor:
    """The tensor of this name that a model returned, or else the first.

    Raises:
        ValueError: there is none.
    """
    found = dict(named_outputs(outputs))
    if not found:
        raise ValueError("the model returns no tensor")
    return found.get(name, next(iter(found.values())))


def own_loss(own: OwnTraining, name: Loss, output_name: str) -> Callable[[Any, Tensor], Tensor]:
    """The user's loss of what the model returns, or the named one."""
    return loss_of(name, output_name) if own.make_loss is None else own.make_loss()


def own_optimizer(
    own: OwnTraining, parameters: Iterable[Tensor], learning_rate: float
) -> tuple[Any, Any | None]:
    """The user's optimizer, or gradient descent, and the user's scheduler."""
    if own.make_optimizer is None:
        return Descent(list(parameters), learning_rate), None
    made = own.make_optimizer(parameters)
    optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
    return optimizer, scheduler


class Descent(NamedTuple):
    """Gradient descent. The one of torch imports the compiler, which takes seconds."""

    parameters: list[Tensor]
    learning_rate: float

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-self.learning_rate)


def to_targets(targets: np.ndarray) -> Tensor:
    """Targets as float64 or int64."""
    kind = np.float64 if targets.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.array(targets, dtype=kind))


def rule_of(optimizer: Any, scheduler: Any = None) -> Update:
    """The rule of an optimizer of ``torch.optim``, read from its first group; the scheduler goes on."""
    group = optimizer.param_groups[0]
    name = type(optimizer).__name__
    known = type(optimizer).__module__.startswith("torch.optim") and name in _READERS
    if not known or group.get("dampening"):
        return Update(rule="unknown", learning_rate=_float(group.get("lr")))
    rates = [] if scheduler is None else _rates(optimizer, scheduler)
    return msgspec.structs.replace(_READERS[name](group), rates=rates)


def _rates(optimizer: Any, scheduler: Any) -> list[float]:
    """The learning rates of the first steps."""
    rates = []
    for _ in range(STEPS_WITH_RATES):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()  # of no gradients
        scheduler.step()
    return rates


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
        rule="rmsprop-centered" if group["centered"] else "rmsprop",
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
