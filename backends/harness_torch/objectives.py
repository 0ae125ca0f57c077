"""The training step of each kind of objective, written as a plain PyTorch loop does it."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from harness.spec import Adam, Classification, Optimizer, Regression, RmsProp, Sgd, Task

#: Maps a network's module and its inputs to its outputs, in the program's precision.
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]

#: As a share of the dtype's largest number. With a learning rate beyond it the loss is infinite after a step,
#: while Adam's division by its bias correction does not overflow below it.
_HOPELESS = 1e-6


def _make_optimizer(spec: Optimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    rate = spec.learning_rate
    if rate > _HOPELESS * torch.finfo(parameters[0].dtype).max:
        # torch rejects a number that the dtype cannot hold; in other frameworks it becomes infinite.
        rate = math.inf
    match spec:
        case Sgd():
            return torch.optim.SGD(parameters, rate, momentum=spec.momentum, nesterov=spec.nesterov)
        case Adam():
            return torch.optim.Adam(parameters, rate, betas=(spec.beta_1, spec.beta_2), eps=spec.epsilon)
        case RmsProp():
            return torch.optim.RMSprop(parameters, rate, alpha=spec.rho, eps=spec.epsilon)


class Update:
    """The penalty, the decay and the optimizer of one network."""

    def __init__(self, task: Task, parameters: list[nn.Parameter], kernels: list[torch.Tensor]) -> None:
        self._parameters = parameters
        self._kernels = kernels
        self._penalty = task.penalty
        self._decay = task.optimizer.learning_rate * task.weight_decay
        self.optimizer = _make_optimizer(task.optimizer, parameters)

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
        if self._decay:
            with torch.no_grad():
                for kernel in self._kernels:
                    kernel.mul_(1.0 - self._decay)
        self.optimizer.step()
        return loss.detach()


class SupervisedStep:
    """Trains one network on targets."""

    def __init__(self, objective: Classification | Regression, model: nn.Module, update: Update) -> None:
        self._objective = objective
        self._model = model
        self._update = update
        self._class_weights: torch.Tensor | None = None

    def _loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if isinstance(self._objective, Regression):
            return functional.mse_loss(outputs, targets)
        if not self._objective.class_weights:
            return functional.cross_entropy(outputs, targets)
        if self._class_weights is None:
            self._class_weights = outputs.new_tensor(self._objective.class_weights)
        terms = functional.cross_entropy(outputs, targets, reduction="none")
        return (terms * self._class_weights[targets]).mean()

    def __call__(self, forward: Forward, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """One update; returns the loss that it minimised, a scalar."""
        loss = self._loss(forward(self._model, inputs), targets)
        return self._update.minimize(self._update.penalized(loss))


class AdversarialStep:
    """Trains a generator against a discriminator; see :class:`harness.spec.Adversarial`."""

    def __init__(self, generator: tuple[nn.Module, Update], discriminator: tuple[nn.Module, Update]) -> None:
        self._generator, self._generator_update = generator
        self._discriminator, self._discriminator_update = discriminator

    def __call__(self, forward: Forward, pictures: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """One update of each network; returns the discriminator's and the generator's loss ``(2,)``."""
        fakes = forward(self._generator, latents)
        on_real = _real_loss(forward(self._discriminator, pictures))
        on_fake = _fake_loss(forward(self._discriminator, fakes.detach()))
        update = self._discriminator_update
        discriminator_loss = update.minimize(update.penalized((on_real + on_fake) / 2))
        update = self._generator_update
        fooled = _real_loss(forward(self._discriminator, fakes))
        return torch.stack([discriminator_loss, update.minimize(update.penalized(fooled))])


def _real_loss(logits: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _fake_loss(logits: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
