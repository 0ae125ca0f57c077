"""Keras on JAX: what differs from the other engines, under the same names as in their files."""

from importlib import metadata
from typing import Any

import jax
import keras
import numpy as np

from harness.spec import Precision, Unsupported
from harness_keras import optimizers
from harness_keras.network import cross_entropies

Tensor = Any

Dense = keras.layers.Dense
Adam = optimizers.Adam
RmsProp = optimizers.RmsProp


def prepare(threads: int) -> dict[str, str]:
    """Say what this JAX is; its CPU pool follows the processor affinity, which is set already."""
    del threads
    return {"engine": "jax", "jax": jax.__version__, "jaxlib": metadata.version("jaxlib")}


def select(device: str, precision: Precision) -> str:
    """The name of the device that JAX will use for ``device``, with 64-bit arithmetic where asked for.

    Raises:
        Unsupported: a GPU is asked for and JAX sees none.
    """
    jax.config.update("jax_enable_x64", precision == "float64")
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    first = jax.devices()[0]
    if device.startswith("cuda") and first.platform != "gpu":
        raise Unsupported(f"device {device} was asked for, but JAX sees no GPU here, only {first.platform}")
    return f"cuda:0 ({first.device_kind})" if first.platform == "gpu" else first.platform


class IndexedModel(keras.Sequential):
    """A model whose training step is given the rows of its batch in data that stays on the device.

    The step is the one of Keras's guide to custom training steps in JAX. The data comes in as an
    argument: captured, it would be compiled into the program as a constant.
    """

    inputs_on_device: Tensor
    targets_on_device: Tensor

    def train_step(self, state: tuple[Any, ...], data: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """One update on ``(inputs, targets, rows (batch,))``; the loss that it minimised, and the state."""
        inputs, targets, rows = data
        trainable, non_trainable, optimizer, metrics = state

        def loss_and_updates(trainable: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            logits, updated, penalties = self.stateless_call(
                trainable, non_trainable, inputs[rows], training=True, return_losses=True
            )
            return cross_entropies(targets[rows], logits).mean() + sum(penalties), updated

        (loss, non_trainable), gradients = jax.value_and_grad(loss_and_updates, has_aux=True)(trainable)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        return {"loss": loss}, (trainable, non_trainable, optimizer, metrics)


class _Batches(keras.utils.PyDataset):
    def __init__(self, inputs: Tensor, targets: Tensor, indices: np.ndarray) -> None:
        super().__init__()
        self._inputs, self._targets, self._indices = inputs, targets, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, np.ndarray]:
        return self._inputs, self._targets, self._indices[step]


def batches(model: IndexedModel, indices: np.ndarray) -> keras.utils.PyDataset:
    """What ``fit`` is given to train on the rows ``indices (steps, batch)``."""
    return _Batches(model.inputs_on_device, model.targets_on_device, indices.astype(np.int32))


def to_host(losses: list[Tensor]) -> np.ndarray:
    """Scalars on the device as one array ``(steps,)``; all transfers start before one is waited for."""
    return np.array(jax.device_get(losses))


def synchronize(model: IndexedModel) -> None:
    """Wait for the last update, which waits for all before it."""
    jax.block_until_ready([variable.value for variable in model.variables])


def peak_memory_bytes() -> int:
    """The most that the GPU's allocator has held."""
    return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"])
