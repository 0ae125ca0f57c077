"""What a step does with gradients: penalty, clipping, decay and the optimizer; and what later steps need."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from harness.backend_support import rules
from harness.spec import Adam, Optimizer, RmsProp, Sgd, Task

#: As a share of the dtype's largest number. With a learning rate beyond it the loss is infinite after a step,
#: while Adam's division by its bias correction does not overflow below it.
_HOPELESS = 1e-6


def _usable(rate: float, dtype: torch.dtype) -> float:
    """The rate; infinite where torch would reject it because the dtype cannot hold it, as elsewhere."""
    return math.inf if rate > _HOPELESS * torch.finfo(dtype).max else rate


def _sgd(spec: Sgd, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, rate, momentum=spec.momentum, nesterov=spec.nesterov)


def _adam(spec: Adam, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, rate, betas=(spec.beta_1, spec.beta_2), eps=spec.epsilon)


def _rmsprop(spec: RmsProp, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(parameters, rate, alpha=spec.rho, eps=spec.epsilon)


_OPTIMIZERS: dict[type[Optimizer], Callable[..., torch.optim.Optimizer]] = {
    Sgd: _sgd,
    Adam: _adam,
    RmsProp: _rmsprop,
}


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
        rate = _usable(self._rate, parameters[0].dtype)
        self.optimizer = _OPTIMIZERS[type(task.optimizer)](task.optimizer, parameters, rate)

    def set_rate(self, rate: float) -> None:
        """Use this learning rate from now on; a plain number, for which no device waits."""
        self._rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = _usable(rate, self._parameters[0].dtype)

    def penalized(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss with the penalty on the kernels added."""
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
        """Make one step by these gradients and that of the penalty; returns the penalty, detached."""
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


_GENERATOR = "generator"


class TrainingState:
    """Reads and writes it; see :meth:`harness.spec.Program.training_state`."""

    def __init__(
        self, optimizers: Mapping[str, torch.optim.Optimizer], generator: torch.Generator | None
    ) -> None:
        """``optimizers`` by network; ``generator`` is None where nothing is drawn."""
        self._optimizers = dict(optimizers)
        self._generator = generator

    def read(self) -> dict[str, np.ndarray]:
        """Copies of all tensors, by network, position of the parameter, and name; none before a step."""
        state = {
            f"{network}/{position}/{name}": tensor.cpu().numpy().copy()
            for network, optimizer in self._optimizers.items()
            for position, kept in optimizer.state_dict()["state"].items()
            for name, tensor in kept.items()
        }
        if self._generator is not None:
            state[_GENERATOR] = self._generator.get_state().numpy()
        return state

    def write(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a result of :meth:`read`."""
        tensors = {key: torch.from_numpy(array.copy()) for key, array in state.items()}
        if self._generator is not None:
            self._generator.set_state(tensors.pop(_GENERATOR))
        kept: dict[str, dict[int, dict[str, torch.Tensor]]] = defaultdict(lambda: defaultdict(dict))
        for key, tensor in tensors.items():
            network, position, name = key.rsplit("/", 2)
            kept[network][int(position)][name] = tensor
        for network, optimizer in self._optimizers.items():
            optimizer.load_state_dict(optimizer.state_dict() | {"state": kept[network]})
