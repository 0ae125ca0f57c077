"""Each layer as a torch module, and the way its parameters go between canonical and torch layout.

Pictures are NCHW to torch. Canonical ``Flatten`` and ``Reshape`` are in (height, width, channel)
order: with plain NCHW memory the rows or columns of the dense kernel beside them are reordered once,
at load; with channels-last memory a view has that order already. Either way no step copies for it,
unless there is no dense layer beside them, and then plain memory is permuted.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.layers import (
    GRU,
    LEAKY_RELU_SLOPE,
    LSTM,
    Activation,
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


class UnflattenChannelsLast(nn.Module):
    """``(batch, H * W * C)`` to ``(batch, C, H, W)`` in channels-last memory: a view."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Unflatten from canonical order."""
        return x.unflatten(1, self._shape).permute(0, 3, 1, 2)


class Recurrent(nn.Module):
    """``nn.GRU`` or ``nn.LSTM`` giving its whole sequence or each direction's last output."""

    def __init__(self, layer: GRU | LSTM, inputs: int) -> None:
        super().__init__()
        kind = nn.GRU if isinstance(layer, GRU) else nn.LSTM
        self.cell = kind(inputs, layer.units, batch_first=True, bidirectional=layer.bidirectional)
        self._sequences = layer.return_sequences
        if isinstance(layer, LSTM):
            # The canonical cell has one bias; torch adds two, of which the second stays at zero.
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


def _activation(name: Activation) -> nn.Module:
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
    """``reordered``: the dense layer beside this ``Flatten`` or ``Reshape`` has torch's order of features."""
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


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _feature_order(shape: Shape | None, features: int) -> np.ndarray:
    """For each feature in torch's (channel, height, width) order its number in canonical order."""
    if shape is None:
        return np.arange(features)
    return np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()


def _dense_slots(
    place: PlacedLayer, module: nn.Linear, before: Shape | None, after: Shape | None
) -> list[Slot]:
    """``before`` and ``after`` are the picture shapes that the inputs and outputs stand for, if any."""
    rows = _feature_order(before, module.in_features)
    columns = _feature_order(after, module.out_features)
    rows_back, columns_back = np.argsort(rows), np.argsort(columns)
    return [
        Slot(
            f"{place.name}/kernel",
            module.weight,
            lambda w: w[rows][:, columns].T,
            lambda w: w.T[rows_back][:, columns_back],
        ),
        Slot(f"{place.name}/bias", module.bias, lambda b: b[columns], lambda b: b[columns_back]),
    ]


def _convolution_slots(place: PlacedLayer, module: nn.Conv2d | nn.ConvTranspose2d) -> list[Slot]:
    # (H, W, in, out) <-> (out, in, H, W), or (in, out, H, W) for the transposed convolution.
    to_torch, back = ((3, 2, 0, 1), (2, 3, 1, 0))
    if isinstance(module, nn.ConvTranspose2d):
        to_torch, back = ((2, 3, 0, 1), (2, 3, 0, 1))
    return [
        Slot(
            f"{place.name}/kernel",
            module.weight,
            lambda w: w.transpose(to_torch),
            lambda w: w.transpose(back),
        ),
        Slot(f"{place.name}/bias", module.get_parameter("bias"), _same, _same),
    ]


def _recurrent_slots(name: str, layer: GRU | LSTM, module: Recurrent) -> Iterator[Slot]:
    names = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0", "bias": "bias_ih_l0"}
    if isinstance(layer, GRU):
        names["recurrent_bias"] = "bias_hh_l0"
    for way, suffix in zip(layer.directions, ("", "_reverse"), strict=False):
        for parameter, torch_name in names.items():
            convert = np.transpose if parameter.endswith("kernel") else _same
            tensor = module.cell.get_parameter(torch_name + suffix)
            yield Slot(f"{name}/{way}/{parameter}", tensor, convert, convert)


def _slots(place: PlacedLayer, module: nn.Module, before: Shape | None, after: Shape | None) -> list[Slot]:
    match module, place.layer:
        case nn.Linear(), _:
            return _dense_slots(place, module, before, after)
        case ((nn.Conv2d() | nn.ConvTranspose2d()), _):
            return _convolution_slots(place, module)
        case Recurrent(), (GRU() | LSTM()) as layer:
            return list(_recurrent_slots(place.name, layer, module))
        case _:
            return []


def _picture(shape: Shape) -> Shape | None:
    return shape if len(shape) == PICTURE_AXES else None


def _nearest(places: Iterable[PlacedLayer]) -> PlacedLayer | None:
    """The first that is not dropout, which does not care for the order of features."""
    return next((place for place in places if not isinstance(place.layer, Dropout)), None)


def _flattened_before(places: Sequence[PlacedLayer]) -> Shape | None:
    """The shape of the picture that the last of these layers flattens, if it does."""
    match _nearest(reversed(places)):
        case PlacedLayer(layer=Flatten(), input_shape=shape):
            return _picture(shape)
    return None


def _made_after(places: Sequence[PlacedLayer]) -> Shape | None:
    """The shape of the picture that the first of these layers makes of features, if it does."""
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
        beside = _nearest(after) if isinstance(place.layer, Flatten) else _nearest(reversed(before))
        reordered = not channels_last and _is_dense(beside)
        views = (None, None) if channels_last else (_flattened_before(before), _made_after(after))
        for module in _modules(place, reordered=reordered):
            modules.append(module)
            slots += _slots(place, module, *views)
        activation = getattr(place.layer, "activation", None)
        if activation is not None:
            modules.append(_activation(activation))
    return nn.Sequential(*modules), slots
