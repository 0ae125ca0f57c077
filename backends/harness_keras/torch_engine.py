"""Keras on PyTorch: what differs from the other engines, under the same names as in their files."""

from typing import Any

import keras
import numpy as np
import torch

from harness.spec import Precision, Unsupported
from harness_keras import torch_optimizers
from harness_keras.network import cross_entropies

Tensor = Any

Adam = torch_optimizers.Adam
RmsProp = torch_optimizers.RmsProp


def prepare(threads: int) -> dict[str, str]:
    """Set the thread count and the picture format, and say what this PyTorch is."""
    torch.set_num_threads(threads)
    # PyTorch's own format: a cnn's step takes 20 % less time than in Keras's default.
    keras.config.set_image_data_format("channels_first")
    return {
        "engine": "torch",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda or "none"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def select(device: str, precision: Precision) -> str:
    """The name of the device that PyTorch will use for ``device``; any precision goes.

    Raises:
        Unsupported: a GPU is asked for and PyTorch sees none.
    """
    del precision
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        reason = "" if torch.version.cuda else " and was built without CUDA"
        raise Unsupported(f"device {device} was asked for, but PyTorch sees no GPU here{reason}")
    return f"cuda:0 ({torch.cuda.get_device_name(0)})"


class Dense(keras.layers.Dense):
    """Keras's Dense, except in float64: there Keras's product on PyTorch goes through float32."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """``(..., in)`` to ``(..., units)``."""
        if self.compute_dtype != "float64":
            return super().call(inputs, training)
        return self.activation(inputs @ self.kernel.value + self.bias.value)


class IndexedModel(keras.Sequential):
    """A model whose training step is given the rows of its batch in data that stays on the device.

    The step is the one of Keras's guide to custom training steps in PyTorch.
    """

    inputs_on_device: Tensor
    targets_on_device: Tensor

    def train_step(self, data: tuple[Tensor]) -> dict[str, Tensor]:
        """One update on ``rows (batch,)``; the loss that it minimised."""
        (rows,) = data
        inputs = self.inputs_on_device.index_select(0, rows)
        targets = self.targets_on_device.index_select(0, rows)
        self.zero_grad()
        loss = cross_entropies(targets, self(inputs, training=True)).mean() + sum(self.losses)
        loss.backward()
        gradients = [variable.value.grad for variable in self.trainable_weights]
        with torch.no_grad():
            self.optimizer.apply(gradients, self.trainable_weights)
        return {"loss": loss.detach()}


class _Batches(keras.utils.PyDataset):
    def __init__(self, indices: Tensor) -> None:
        super().__init__()
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, step: int) -> tuple[Tensor]:
        return (self._indices[step],)


def batches(model: IndexedModel, indices: np.ndarray) -> keras.utils.PyDataset:
    """What ``fit`` is given to train on the rows ``indices (steps, batch)``."""
    return _Batches(torch.from_numpy(indices).to(model.targets_on_device.device))


def to_host(losses: list[Tensor]) -> np.ndarray:
    """Scalars on the device as one array ``(steps,)``, in one transfer."""
    return torch.stack(losses).cpu().numpy()


def synchronize(model: IndexedModel) -> None:
    """Wait for the GPU, where there is one."""
    if model.targets_on_device.is_cuda:
        torch.cuda.synchronize()


def peak_memory_bytes() -> int:
    """The most that the GPU's allocator has held."""
    return torch.cuda.max_memory_allocated()
