"""The way of parameters between canonical arrays and Keras variables, for all engines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from harness.layers import GRU, LSTM, ConvTranspose2D
from harness.network import Network
from harness_keras.layers import directions


@dataclass(frozen=True)
class Slot:
    """A Keras variable, the canonical parameters in it, and the conversion between them.

    A variable of several parameters holds one per row. ``convert`` is its own inverse.
    """

    names: tuple[str, ...]
    variable: Any
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray


def slots(model: keras.Sequential, network: Network) -> Iterator[Slot]:
    """The slots of a network's parameters, by their names in the network (``conv2d_1/kernel``)."""
    for place in network.placed():
        layer = model.get_layer(place.name)
        match place.layer:
            case GRU() | LSTM() as recurrent:
                for way, part in zip(recurrent.directions, directions(recurrent, layer), strict=True):
                    yield from _recurrent_slots(f"{place.name}/{way}", recurrent, part.cell)
            case ConvTranspose2D():
                yield Slot((f"{place.name}/kernel",), layer.kernel, _swap_in_and_out)
                yield Slot((f"{place.name}/bias",), layer.bias)
            case _:
                for name in place.layer.parameters(place.input_shape):
                    yield Slot((f"{place.name}/{name}",), getattr(layer, name))


def _recurrent_slots(name: str, layer: GRU | LSTM, cell: keras.layers.Layer) -> Iterator[Slot]:
    gru = isinstance(layer, GRU)
    convert = _swap_reset_and_update if gru else np.asarray
    yield Slot((f"{name}/kernel",), cell.kernel, convert)
    yield Slot((f"{name}/recurrent_kernel",), cell.recurrent_kernel, convert)
    biases = ("bias", "recurrent_bias") if gru else ("bias",)
    yield Slot(tuple(f"{name}/{bias}" for bias in biases), cell.bias, convert)


def _swap_in_and_out(kernel: np.ndarray) -> np.ndarray:
    """Keras stores the kernel of a transposed convolution as ``(height, width, out, in)``."""
    return kernel.swapaxes(2, 3)


def _swap_reset_and_update(array: np.ndarray) -> np.ndarray:
    """Keras orders the gates ``(..., 3 * units)`` as update, reset, candidate."""
    gates = array.reshape(*array.shape[:-1], 3, -1)
    return gates[..., [1, 0, 2], :].reshape(array.shape)
