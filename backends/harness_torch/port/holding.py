"""The parameters and the state of a module, kept as they were while it is evaluated or trained."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.modules.batchnorm import _NormBase

Tensor = torch.Tensor


class _Buffer(NamedTuple):
    """A buffer at its place in a module."""

    owner: torch.nn.Module
    key: str
    tensor: Tensor
    numbers: Tensor


class Holding:
    """What a module holds, by name: parameters in their order, then buffers of floating type."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def tensors(self) -> dict[str, Tensor]:
        """The tensors as the module holds them."""
        found: dict[str, Tensor] = dict(self._module.named_parameters())
        buffers = self._module.named_buffers()
        return found | {name: buffer for name, buffer in buffers if buffer.dtype.is_floating_point}

    def statistics(self) -> set[str]:
        """The names of the buffers of normalisations."""
        return {
            f"{path}.{key}" if path else key
            for path, module in self._module.named_modules()
            if isinstance(module, _NormBase) or type(module).__name__ == "FrozenBatchNorm2d"
            for key, _ in module.named_buffers(recurse=False)
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of the numbers."""
        return {name: np.array(tensor.detach().numpy()) for name, tensor in self.tensors().items()}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Put numbers in the place of others, which stay as they are where somebody else has them.

        Raises:
            KeyError: the module has no parameter of a name.
            ValueError: a shape is another one.
        """
        tensors = self.tensors()
        for name, array in parameters.items():
            if tuple(array.shape) != tuple(tensors[name].shape):
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(array.shape)}")
            numbers = torch.from_numpy(np.array(array, dtype=np.float64))
            tensors[name].data = numbers.to(tensors[name].dtype)

    @contextlib.contextmanager
    def kept(self, *, parameters: bool) -> Iterator[dict[str, Tensor]]:
        """Work on copies of the buffers, and of the parameters too; gives the numbers before, by name."""
        buffers = [
            _Buffer(owner, key, tensor, tensor.data)
            for owner in self._module.modules()
            for key, tensor in owner._buffers.items()  # noqa: SLF001  the only way to buffers of one module
            if tensor is not None
        ]
        trained = [(tensor, tensor.data) for tensor in self._module.parameters()] if parameters else []
        before = {name: tensor.data for name, tensor in self.tensors().items()}
        training = [(each, each.training) for each in self._module.modules()]
        for tensor, numbers in [(each.tensor, each.numbers) for each in buffers] + trained:
            tensor.data = numbers.clone()
        try:
            yield before
        finally:
            for each in buffers:
                each.tensor.data = each.numbers
                each.owner._buffers[each.key] = each.tensor  # noqa: SLF001
            for tensor, numbers in trained:
                tensor.data = numbers
                tensor.grad = None
            for module, mode in training:
                module.training = mode

    def changes(self, before: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """The numbers that differ from those before."""
        return {
            name: np.array(tensor.detach().numpy())
            for name, tensor in self.tensors().items()
            if not _equal(tensor.data, before[name])
        }


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() or torch.equal(one, other)
