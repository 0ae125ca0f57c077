"""Each layer as a torch module, and a network as a sequence of them.

Pictures are NCHW in torch. Canonical ``Flatten`` and ``Reshape`` are in (height, width, channel) order. With
plain NCHW memory the rows or columns of the adjacent dense kernel are reordered once, when weights are
loaded; with channels-last memory a view has that order already. Either way no step copies for it, except
without an adjacent dense layer, where plain memory is permuted.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from harness.layers import (
    GRU,
    LEAKY_RELU_SLOPE,
    LSTM,
    ActivationName,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    Reshape,
    Shape,
)
from harness.network import Network, PlacedLayer
from harness_torch.slots import Slot, slots_of

#: Height, width and channels: the axes of a layer's shape that is a picture.
PICTURE_AXES = 3


class FlattenChannelsLast(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``; a view if memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flatten in canonical order."""
        return x.permute(0, 2, 3, 1).flatten(1)


class UnflattenChannelsLast(nn.Module):
    """``(batch, H * W * C)`` to ``(batch, C, H, W)`` in channels-last memory; a view."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Unflatten from canonical order."""
        return x.unflatten(1, self._shape).permute(0, 3, 1, 2)


class Recurrent(nn.Module):
    """``nn.GRU`` or ``nn.LSTM`` that returns its whole sequence or the last output of each direction."""

    def __init__(self, layer: GRU | LSTM, inputs: int) -> None:
        super().__init__()
        kind = nn.GRU if isinstance(layer, GRU) else nn.LSTM
        self.cell = kind(inputs, layer.units, batch_first=True, bidirectional=layer.bidirectional)
        self._sequences = layer.return_sequences
        if isinstance(layer, LSTM):
            # The canonical cell has one bias. torch adds two; the second one is fixed at zero.
            for name, parameter in self.cell.named_parameters():
                if name.startswith("bias_hh"):
                    nn.init.zeros_(parameter).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, steps, in)`` to ``(batch, steps, features)`` or ``(batch, features)``."""
        outputs, last = self.cell(x)
        if self._sequences:
            return outputs
        hidden = last[0] if isinstance(last, tuple) else last  # (directions, batch, units)
        return hidden.transpose(0, 1).flatten(1)


def _activation(name: ActivationName) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(LEAKY_RELU_SLOPE, inplace=True)
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()


def _convolution(layer: Conv2D, shape: Shape) -> Iterator[nn.Module]:
    (top, bottom), (left, right) = (layer.same_padding(axis) for axis in shape[:2])
    symmetric = top == bottom and left == right
    if not symmetric:
        yield nn.ZeroPad2d((left, right, top, bottom))
    padding = (top, left) if symmetric else 0
    yield nn.Conv2d(shape[-1], layer.filters, layer.kernel_size, layer.strides, padding)


def _modules(place: PlacedLayer, *, reordered: bool) -> Iterator[nn.Module]:
    """``reordered``: the dense layer next to this ``Flatten`` or ``Reshape`` has torch's feature order."""
    layer, shape = place.layer, place.input_shape
    match layer:
        case Conv2D():
            yield from _convolution(layer, shape)
        case ConvTranspose2D(filters, kernel_size, strides):
            yield nn.ConvTranspose2d(shape[-1], filters, kernel_size, strides, layer.crop)
        case MaxPool2D():
            yield nn.MaxPool2d(layer.pool_size)
        case Flatten():
            yield nn.Flatten() if reordered or not _picture(shape) else FlattenChannelsLast()
        case Reshape():
            if reordered or not _picture(layer.shape):
                yield nn.Unflatten(1, _torch_shape(layer.shape))
            else:
                yield UnflattenChannelsLast(layer.shape)
        case Dense():
            yield nn.Linear(shape[-1], layer.units)
        case Dropout():
            yield nn.Dropout(layer.rate)
        case GRU() | LSTM():
            yield Recurrent(layer, shape[-1])


def _torch_shape(shape: Shape) -> Shape:
    return (shape[-1], *shape[:-1]) if len(shape) == PICTURE_AXES else shape


def _picture(shape: Shape) -> Shape | None:
    return shape if len(shape) == PICTURE_AXES else None


def _nearest(places: Iterable[PlacedLayer]) -> PlacedLayer | None:
    """The first layer that is not dropout, which does not depend on the order of features."""
    return next((place for place in places if not isinstance(place.layer, Dropout)), None)


def _flattened_before(places: Sequence[PlacedLayer]) -> Shape | None:
    """The shape of the picture that the last of these layers flattens; None if it does not."""
    match _nearest(reversed(places)):
        case PlacedLayer(layer=Flatten(), input_shape=shape):
            return _picture(shape)
    return None


def _made_after(places: Sequence[PlacedLayer]) -> Shape | None:
    """The shape of the picture into which the first of these layers reshapes; None if it does not."""
    match _nearest(places):
        case PlacedLayer(layer=Reshape(shape)):
            return _picture(shape)
    return None


def _is_dense(place: PlacedLayer | None) -> bool:
    return place is not None and isinstance(place.layer, Dense)


def build_network(network: Network, *, channels_last: bool) -> tuple[nn.Sequential, list[Slot]]:
    """The network as one module for ``(batch, C, H, W)`` or ``(batch, ...)``, and its parameters."""
    modules: list[nn.Module] = []
    slots: list[Slot] = []
    places = network.placed()
    for position, place in enumerate(places):
        before, after = places[:position], places[position + 1 :]
        adjacent = _nearest(after) if isinstance(place.layer, Flatten) else _nearest(reversed(before))
        reordered = not channels_last and _is_dense(adjacent)
        views = (None, None) if channels_last else (_flattened_before(before), _made_after(after))
        for module in _modules(place, reordered=reordered):
            modules.append(module)
            slots += slots_of(place, module, *views)
        activation = getattr(place.layer, "activation", None)
        if activation is not None:
            modules.append(_activation(activation))
    return nn.Sequential(*modules), slots
