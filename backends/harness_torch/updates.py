"""What a step does with gradients: penalty, clipping, decay and the optimizer of one network."""

import math

import torch
from torch import nn

from harness.spec import Adam, Optimizer, RmsProp, Sgd, Task

#: As a share of the dtype's largest number. With a learning rate beyond it the loss is infinite after a step,
#: while Adam's division by its bias correction does not overflow below it.
_HOPELESS = 1e-6


def _usable(rate: float, dtype: torch.dtype) -> float:
    """The rate; infinite where torch would reject it because the dtype cannot hold it, as elsewhere."""
    return math.inf if rate > _HOPELESS * torch.finfo(dtype).max else rate


def _make_optimizer(spec: Optimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    rate = _usable(spec.learning_rate, parameters[0].dtype)
    match spec:
        case Sgd():
            return torch.optim.SGD(parameters, rate, momentum=spec.momentum, nesterov=spec.nesterov)
        case Adam():
            return torch.optim.Adam(parameters, rate, betas=(spec.beta_1, spec.beta_2), eps=spec.epsilon)
        case RmsProp():
            return torch.optim.RMSprop(parameters, rate, alpha=spec.rho, eps=spec.epsilon)


class Update:
    """Minimises the loss of one network; ``weights`` are its tensors by their full names in the task."""

    def __init__(self, task: Task, parameters: list[nn.Parameter], weights: dict[str, torch.Tensor]) -> None:
        self._parameters = parameters
        self._kernels = [tensor for name, tensor in weights.items() if name.endswith("kernel")]
        self._decayed = [tensor for name, tensor in weights.items() if task.is_decayed(name)]
        self._penalty = task.penalty
        self._clip_norm = task.clip_norm
        self._weight_decay = task.weight_decay
        self._rate = task.optimizer.learning_rate
        self.optimizer = _make_optimizer(task.optimizer, parameters)

    def set_rate(self, rate: float) -> None:
        """Use this learning rate from now on; a plain number, for which no device waits."""
        self._rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = _usable(rate, self._parameters[0].dtype)

    def penalized(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss with the penalty on the kernels added."""
        if self._penalty.l1:
            loss = loss + self._penalty.l1 * sum(kernel.abs().sum() for kernel in self._kernels)
        if self._penalty.l2:
            loss = loss + self._penalty.l2 * sum(kernel.square().sum() for kernel in self._kernels)
        return loss

    def minimize(self, loss: torch.Tensor) -> torch.Tensor:
        """Minimise this loss by one step; returns the loss, detached."""
        self.optimizer.zero_grad()
        loss.backward(inputs=self._parameters)
        with torch.no_grad():
            if self._clip_norm:
                self._clip()
            if self._weight_decay:
                _scale(self._decayed, 1.0 - self._rate * self._weight_decay)
        self.optimizer.step()
        return loss.detach()

    def _clip(self) -> None:
        # torch's own clip_grad_norm_ divides by the norm plus 1e-6.
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        _scale(gradients, self._clip_norm / norm.clamp(min=self._clip_norm))


def _scale(tensors: list[torch.Tensor], factor: float | torch.Tensor) -> None:
    # Documented under "Foreach Operations".
    torch._foreach_mul_(tensors, factor)
