"""The training step of DP-SGD: gradients of single samples by ``torch.func``, clipped, summed and noised."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from harness.backend_support.feeding import noise_name
from harness.backend_support.rules import private_gradients
from harness.spec import Task, Unsupported
from harness_torch.layers import Recurrent
from harness_torch.native import NativeSlot
from harness_torch.objectives import Forward, SupervisedStep
from harness_torch.optimizers import Update
from harness_torch.slots import Slot

_SEED_BITS = 31


class PrivateStep:
    """Trains one network on targets; see :class:`harness.spec.Privacy`."""

    def __init__(
        self,
        task: Task,
        module: nn.Module,
        plain: SupervisedStep,
        update: Update,
        slots: Mapping[str, Slot | NativeSlot],
    ) -> None:
        """Prepare the steps; ``slots`` are those of the weights by full name."""
        if any(isinstance(each, Recurrent) for each in module.modules()):
            raise Unsupported(
                "torch.func has no gradients of single samples of nn.GRU and nn.LSTM, which DP-SGD needs"
            )
        assert task.privacy is not None and task.batch_size is not None  # noqa: S101, PT018
        self._privacy, self._batch_size = task.privacy, task.batch_size
        self._plain, self._update, self._slots = plain, update, slots
        self._module = module
        self._parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._sizes = [p.numel() for p in self._parameters.values()]
        self._generator = torch.Generator(next(iter(self._parameters.values())).device)
        canonical = {id(slot.tensor): name for name, slot in slots.items()}
        self._canonical = {name: canonical[id(p)] for name, p in self._parameters.items()}

    def noise_of(self, draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the harness's noise in torch's layout, a row a step; empty where the framework draws it."""
        names = {noise_name(name): slot for name, slot in self._slots.items()}
        return {
            name: np.stack([np.ascontiguousarray(names[name].to_torch(each)) for each in array])
            for name, array in draws.items()
            if name in names
        }

    def __call__(
        self, forward: Forward, inputs: torch.Tensor, targets: torch.Tensor, batch: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Make one update; returns the loss of the step."""

        def loss_of(parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            outputs = forward(lambda z: torch.func.functional_call(self._module, parameters, z), x[None])
            return self._plain.loss(outputs, y[None])

        by_sample = torch.func.vmap(
            torch.func.grad_and_value(loss_of), in_dims=(None, 0, 0), randomness="different"
        )
        detached = {name: p.detach() for name, p in self._parameters.items()}
        gradients, losses = by_sample(detached, inputs, targets)
        included = batch["included"]
        combined = private_gradients(
            torch, self._privacy, gradients, included, self._noise(batch), self._batch_size, _squares
        )
        penalty = self._update.apply({self._parameters[name]: g for name, g in combined.items()})
        return (losses * included).sum() / self._batch_size + penalty

    def _noise(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if "noise_seeds" not in batch:
            return {name: batch[noise_name(full)] for name, full in self._canonical.items()}
        first, second = batch["noise_seeds"].tolist()
        self._generator.manual_seed(first << _SEED_BITS | second)
        some = next(iter(self._parameters.values()))
        drawn = torch.randn(sum(self._sizes), generator=self._generator, dtype=some.dtype, device=some.device)
        parts = drawn.split(self._sizes)
        return {
            name: part.view(p.shape) for (name, p), part in zip(self._parameters.items(), parts, strict=True)
        }


def _squares(rows: torch.Tensor) -> torch.Tensor:
    """Sum the squares of each row, without a copy of the matrix."""
    return torch.linalg.vector_norm(rows, dim=1).square()
