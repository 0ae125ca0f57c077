"""Conversion of parameters between canonical arrays and Keras variables, for all engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from harness.layers import GRU, LSTM, ConvTranspose2D, Native, PlacedLayer
from harness.network import Network
from harness.spec import Task
from harness_keras import attention
from harness_keras.layers import directions

if TYPE_CHECKING:  # only programs with a model of the user's own import it
    from harness_keras.native import NativeSlot

#: Keras's names of the contract's parameters and state.
_NORMALIZATION_NAMES = {
    "scale": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_variance": "moving_variance",
}


@dataclass(frozen=True)
class Slot:
    """A Keras variable, the canonical parameters in it, and the conversion between them.

    A variable of several parameters holds one per row. ``convert`` is its own inverse.
    """

    names: tuple[str, ...]
    variable: Any
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray

    def is_decayed(self, task: Task) -> bool:
        """Check that the task's weight decay shrinks the variable."""
        return task.is_decayed(self.names[0])

    def to_keras(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        converted = [self.convert(array) for array in arrays]
        return converted[0] if len(converted) == 1 else np.stack(converted)

    def to_canonical(self, array: np.ndarray) -> Sequence[np.ndarray]:
        converted = self.convert(array)
        return [converted] if len(self.names) == 1 else list(converted)


def slots(layers: Mapping[str, keras.layers.Layer], network: Network) -> Iterator[Slot | NativeSlot]:
    """Yield the slots of a network's weights, by their names in the network (``conv2d_1/kernel``).

    ``layers`` are the layers that hold weights, by their paths. Parameters come before state.
    """
    leaves = list(network.leaves())
    for place in leaves:
        yield from _parameter_slots(place, layers.get(place.name))
    for place in leaves:
        yield from _state_slots(place, layers.get(place.name))


def _state_slots(place: PlacedLayer, layer: Any) -> Iterator[Slot | NativeSlot]:
    if isinstance(place.layer, Native):
        yield from layer.held
        return
    for name in place.layer.state(place.input_shape):
        yield Slot((f"{place.name}/{name}",), _variable(layer, name))


def _parameter_slots(place: PlacedLayer, layer: Any) -> Iterator[Slot | NativeSlot]:
    match place.layer:
        case Native():
            yield from layer.trained
        case GRU() | LSTM() as recurrent:
            for way, part in zip(recurrent.directions, directions(recurrent, layer), strict=True):
                yield from _recurrent_slots(f"{place.name}/{way}", recurrent, part.cell)
        case ConvTranspose2D():
            yield Slot((f"{place.name}/kernel",), layer.kernel, _swap_in_and_out)
            yield Slot((f"{place.name}/bias",), layer.bias)
        case _:
            for name in place.layer.parameters(place.input_shape):
                yield Slot((f"{place.name}/{name}",), _variable(layer, name))


def _variable(layer: keras.layers.Layer, name: str) -> Any:
    """Return the variable of a layer that holds the canonical array of this name."""
    match layer, name:
        case attention.Embedding(), "table":
            return layer.embeddings
        case attention.SelfAttention(), _:
            product, _, own_name = name.rpartition("_")
            return getattr(layer.qkv if product == "qkv" else layer.project, own_name)
        case keras.layers.Layer(gamma=_), _:
            return getattr(layer, _NORMALIZATION_NAMES[name])
        case _:
            return getattr(layer, name)


def _recurrent_slots(name: str, layer: GRU | LSTM, cell: keras.layers.Layer) -> Iterator[Slot]:
    gru = isinstance(layer, GRU)
    convert = _swap_reset_and_update if gru else np.asarray
    yield Slot((f"{name}/kernel",), cell.kernel, convert)
    yield Slot((f"{name}/recurrent_kernel",), cell.recurrent_kernel, convert)
    biases = ("bias", "recurrent_bias") if gru else ("bias",)
    yield Slot(tuple(f"{name}/{bias}" for bias in biases), cell.bias, convert)


def _swap_in_and_out(kernel: np.ndarray) -> np.ndarray:
    """Swap the last axes: Keras stores transposed convolutions as ``(height, width, out, in)``."""
    return kernel.swapaxes(2, 3)


def _swap_reset_and_update(array: np.ndarray) -> np.ndarray:
    """Swap two gates: Keras orders the gates ``(..., 3 * units)`` as update, reset, candidate."""
    gates = array.reshape(*array.shape[:-1], 3, -1)
    return gates[..., [1, 0, 2], :].reshape(array.shape)
