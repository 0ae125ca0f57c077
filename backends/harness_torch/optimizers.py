"""What a step does with gradients: penalty, clipping, decay and the optimizer."""

import itertools
import math
from collections.abc import Mapping

import torch
from torch import nn

from harness.backend_support import feeding, rules
from harness.spec import Adam, ConstantRate, Optimizer, RmsProp, Sgd, Task, Unsupported
from harness.tracing.user_code import own_callable

#: As a share of the dtype's largest number. With a learning rate beyond it the loss is infinite after a step,
#: while Adam's division by its bias correction does not overflow below it.
_HOPELESS = 1e-6


def _usable(rate: float, dtype: torch.dtype) -> float:
    """Return the rate; infinite where torch would reject it because the dtype cannot hold it."""
    return math.inf if rate > _HOPELESS * torch.finfo(dtype).max else rate


def _optimizer(spec: Optimizer, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    match spec:
        case Sgd(momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(parameters, rate, momentum=momentum, nesterov=nesterov)
        case Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon):
            return torch.optim.Adam(parameters, rate, betas=(beta_1, beta_2), eps=epsilon)
        case RmsProp(rho=rho, epsilon=epsilon):
            return torch.optim.RMSprop(parameters, rate, alpha=rho, eps=epsilon)


class Update:
    """Minimises the loss of one network; ``weights`` are its tensors by their full names in the task."""

    def __init__(self, task: Task, parameters: list[nn.Parameter], weights: dict[str, torch.Tensor]) -> None:
        self._parameters = parameters
        self._weights = weights
        self._decayed = [tensor for name, tensor in weights.items() if task.is_decayed(name)]
        self._penalty = task.penalty
        self._clip_norm = task.clip_norm
        self._weight_decay = task.weight_decay
        self._rate = task.optimizer.learning_rate
        self._own_rates: list[float | None] = [1.0]
        make = feeding.own_part(task, "optimizer", own_callable)
        if make is None:
            rate = _usable(self._rate, parameters[0].dtype)
            self.optimizer = _optimizer(task.optimizer, parameters, rate)
            return
        own = task.own_code.optimizer if task.own_code else ""
        self.optimizer = feeding.made_optimizer(own, lambda: make(parameters), torch.optim.Optimizer)
        groups = self.optimizer.param_groups
        if task.schedule != ConstantRate() and not all("lr" in group for group in groups):
            raise Unsupported(f"{own} has no learning rate in its groups, so no schedule can change it")
        # Each group keeps its own rate, which the rates of the steps multiply.
        self._own_rates = [group.get("lr") for group in groups]

    @property
    def keeps_tensors(self) -> bool:
        """Whether the state of each parameter consists of tensors, as far as there is one."""
        kept = self.optimizer.state_dict()["state"].values()
        return all(isinstance(each, torch.Tensor) for state in kept for each in state.values())

    def set_rate(self, rate: float) -> None:
        """Use this learning rate from now on; it is a plain number, for which no device waits."""
        self._rate = rate
        for group, own in zip(self.optimizer.param_groups, itertools.cycle(self._own_rates), strict=False):
            if own is not None:
                group["lr"] = _usable(own * rate, self._parameters[0].dtype)

    def penalized(self, loss: torch.Tensor) -> torch.Tensor:
        """Add the penalty on the kernels to the loss."""
        for term in rules.penalty_terms(torch, self._penalty, self._weights):
            loss = loss + term
        return loss

    def minimize(self, loss: torch.Tensor) -> torch.Tensor:
        """Minimise this loss by one step; returns the loss, detached."""
        self.optimizer.zero_grad()
        loss.backward(inputs=self._parameters)
        self._step()
        return loss.detach()

    def apply(self, gradients: Mapping[nn.Parameter, torch.Tensor]) -> torch.Tensor:
        """Make one step by these gradients and the penalty's; returns the penalty, detached."""
        self.optimizer.zero_grad()
        penalty = self.penalized(torch.zeros((), dtype=self._parameters[0].dtype))
        if penalty.requires_grad:
            penalty.backward(inputs=self._parameters)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        self._step()
        return penalty.detach()

    def _step(self) -> None:
        with torch.no_grad():
            if self._clip_norm:
                self._clip()
            if self._weight_decay:
                _scale(self._decayed, 1.0 - self._rate * self._weight_decay)
        self.optimizer.step()

    def _clip(self) -> None:
        # torch's own clip_grad_norm_ divides by the norm plus 1e-6.
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        _scale(gradients, self._clip_norm / norm.clamp(min=self._clip_norm))


def _scale(tensors: list[torch.Tensor], factor: float | torch.Tensor) -> None:
    # Documented under "Foreach Operations".
    torch._foreach_mul_(tensors, factor)
