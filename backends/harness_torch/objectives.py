"""The training step of each kind of objective, written as a plain PyTorch loop does it."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from harness.spec import BinaryClassification, Classification, Regression
from harness_torch.layers import PICTURE_AXES
from harness_torch.optimizers import Update

#: Maps a network's module and its inputs to its outputs, in the program's precision.
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class SupervisedStep:
    """Trains one network on targets."""

    def __init__(
        self, objective: Classification | BinaryClassification | Regression, model: nn.Module, update: Update
    ) -> None:
        self._objective = objective
        self._model = model
        self._update = update
        self._class_weights: torch.Tensor | None = None

    def _loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        objective = self._objective
        if isinstance(objective, Regression):
            return functional.mse_loss(outputs, targets)
        if not objective.class_weights:
            return _cross_entropy(objective, outputs, targets, "mean")
        if self._class_weights is None:
            self._class_weights = outputs.new_tensor(objective.class_weights)
        terms = _cross_entropy(objective, outputs, targets, "none")
        return (terms * self._class_weights[targets].view_as(terms)).mean()

    def __call__(self, forward: Forward, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """One update; returns the loss that it minimised, a scalar."""
        loss = self._loss(forward(self._model, inputs), targets)
        return self._update.minimize(self._update.penalized(loss))


def _cross_entropy(
    objective: Classification | BinaryClassification,
    logits: torch.Tensor,
    targets: torch.Tensor,
    reduction: str,
) -> torch.Tensor:
    if isinstance(objective, BinaryClassification):
        return functional.binary_cross_entropy_with_logits(
            logits.squeeze(1), targets.to(logits.dtype), reduction=reduction
        )
    if logits.ndim <= PICTURE_AXES:  # (batch, ..., classes); pictures are (batch, classes, H, W)
        logits, targets = logits.flatten(0, -2), targets.flatten()
    return functional.cross_entropy(
        logits, targets, reduction=reduction, label_smoothing=objective.label_smoothing
    )


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
