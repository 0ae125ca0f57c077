"""Each layer as a torch module, and the way its parameters go between canonical and torch layout.

Pictures are NCHW to torch. Canonical ``Flatten`` is in (height, width, channel) order: with plain
NCHW memory the rows of the dense kernel behind it are reordered once, at load; with channels-last
memory the flattened view has that order already. Either way no step copies for it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.layers import AnyLayer, Conv2D, Dense, Dropout, Flatten, MaxPool2D, Network, PlacedLayer, Shape

#: Height, width and channels: what a layer's shape has where it stands for a picture.
PICTURE_AXES = 3

Convert = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Slot:
    """Where a canonical parameter lives in a module, and the conversions to and from there."""

    name: str
    tensor: torch.Tensor
    to_torch: Convert
    to_canonical: Convert


class FlattenChannelsLast(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``: a view where memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flatten in canonical order."""
        return x.permute(0, 2, 3, 1).flatten(1)


def _module(place: PlacedLayer, *, channels_last: bool) -> nn.Module:
    layer, shape = place.layer, place.input_shape
    match layer:
        case Conv2D():
            return nn.Conv2d(shape[-1], layer.filters, layer.kernel_size)
        case MaxPool2D():
            return nn.MaxPool2d(layer.pool_size)
        case Flatten():
            return FlattenChannelsLast() if channels_last and len(shape) == PICTURE_AXES else nn.Flatten()
        case Dense():
            return nn.Linear(shape[-1], layer.units)
        case Dropout():
            return nn.Dropout(layer.rate)


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _kernel_conversions(layer: AnyLayer, flattened: Shape | None) -> tuple[Convert, Convert]:
    """Conversions of a kernel; ``flattened`` is the picture shape that a dense kernel's rows stand for."""
    if isinstance(layer, Conv2D):
        return lambda w: w.transpose(3, 2, 0, 1), lambda w: w.transpose(2, 3, 1, 0)
    if flattened is None:
        return np.transpose, np.transpose
    # Row number in torch's (channel, height, width) order -> row number in canonical order.
    rows = np.arange(math.prod(flattened)).reshape(flattened).transpose(2, 0, 1).ravel()
    return lambda w: w[rows].T, lambda w: w.T[np.argsort(rows)]


def _slots(place: PlacedLayer, module: nn.Module, flattened: Shape | None) -> Iterator[Slot]:
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        to_torch, to_canonical = _kernel_conversions(place.layer, flattened)
        yield Slot(f"{place.name}/kernel", module.weight, to_torch, to_canonical)
        yield Slot(f"{place.name}/bias", module.bias, _same, _same)


def build_network(network: Network, *, channels_last: bool) -> tuple[nn.Sequential, list[Slot]]:
    """The network as one module for ``(batch, C, H, W)`` or ``(batch, features)``, and its parameters."""
    modules: list[nn.Module] = []
    slots: list[Slot] = []
    flattened: Shape | None = None
    for place in network.placed():
        module = _module(place, channels_last=channels_last)
        modules.append(module)
        slots += _slots(place, module, flattened)
        if isinstance(module, nn.Flatten) and len(place.input_shape) == PICTURE_AXES:
            flattened = place.input_shape
        elif isinstance(place.layer, Dense):
            flattened = None
        if getattr(place.layer, "activation", None) == "relu":
            modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules), slots
