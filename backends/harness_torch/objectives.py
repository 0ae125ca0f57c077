"""The training step of each kind of objective, written as a plain PyTorch loop does it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from harness.spec import BinaryClassification, Classification, Regression
from harness_torch.layers import PICTURE_AXES
from harness_torch.optimizers import Update

#: Maps a network's module and its inputs to its outputs, in the program's precision.
Forward = Callable[[Callable[[torch.Tensor], torch.Tensor], torch.Tensor], torch.Tensor]


#: The losses of a regression.
_REGRESSION_LOSSES: dict[str, Any] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}


class SupervisedStep:
    """Trains one network on targets."""

    def __init__(
        self,
        objective: Classification | BinaryClassification | Regression,
        model: nn.Module,
        update: Update,
        own_loss: Callable[..., Any] | None = None,
    ) -> None:
        self._objective, self._own_loss = objective, own_loss
        self._model = model
        self._update = update
        self._class_weights: torch.Tensor | None = None

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the mean loss of a batch, without penalty."""
        objective = self._objective
        if self._own_loss is not None:
            own: torch.Tensor = self._own_loss(outputs, targets).mean()
            return own
        if isinstance(objective, Regression):
            loss: torch.Tensor = _REGRESSION_LOSSES[objective.loss](outputs, targets)
            return loss
        if not objective.class_weights:
            return _class_loss(objective, outputs, targets, "mean")
        if self._class_weights is None:
            self._class_weights = outputs.new_tensor(objective.class_weights)
        terms = _class_loss(objective, outputs, targets, "none")
        return (terms * self._class_weights[targets].view_as(terms)).mean()

    def __call__(self, forward: Forward, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Make one update; returns the loss that it minimised, a scalar."""
        loss = self.loss(forward(self._model, inputs), targets)
        return self._update.minimize(self._update.penalized(loss))


def _class_loss(
    objective: Classification | BinaryClassification,
    logits: torch.Tensor,
    targets: torch.Tensor,
    reduction: str,
) -> torch.Tensor:
    """Compute the mean loss of a batch, or with the reduction ``none`` the term of each target."""
    if isinstance(objective, BinaryClassification):
        logits, values = logits.squeeze(1), targets.to(logits.dtype)
        if objective.loss == "mse_sigmoid":
            return functional.mse_loss(logits.sigmoid(), values, reduction=reduction)
        return functional.binary_cross_entropy_with_logits(logits, values, reduction=reduction)
    if objective.loss != "cross_entropy":
        terms = _squared_errors(objective.loss, logits, targets)
        return terms.mean() if reduction == "mean" else terms
    if logits.ndim <= PICTURE_AXES:  # (batch, ..., classes); pictures are (batch, classes, H, W)
        logits, targets = logits.flatten(0, -2), targets.flatten()
    return functional.cross_entropy(
        logits, targets, reduction=reduction, label_smoothing=objective.label_smoothing
    )


def _squared_errors(loss: str, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute the term of each target ``(batch, ...)``; logits have classes last, in pictures second."""
    if logits.ndim > PICTURE_AXES:
        logits = logits.movedim(1, -1)
    values = logits.softmax(-1) if loss == "mse_softmax" else logits
    one_hot = functional.one_hot(targets, logits.shape[-1]).to(logits.dtype)
    return (values - one_hot).square().mean(-1)


class AdversarialStep:
    """Trains a generator against a discriminator; see :class:`harness.spec.Adversarial`."""

    def __init__(self, generator: tuple[nn.Module, Update], discriminator: tuple[nn.Module, Update]) -> None:
        self._generator, self._generator_update = generator
        self._discriminator, self._discriminator_update = discriminator

    def __call__(self, forward: Forward, pictures: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Update each network once; returns the discriminator's and the generator's loss ``(2,)``."""
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
