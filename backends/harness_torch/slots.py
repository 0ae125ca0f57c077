"""The way of parameters between canonical and torch layout."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.layers import GRU, LSTM, Shape
from harness.network import PlacedLayer

Convert = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Slot:
    """The tensor of a canonical parameter, and the conversions in both directions."""

    name: str
    tensor: torch.Tensor
    to_torch: Convert
    to_canonical: Convert


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _feature_order(shape: Shape | None, features: int) -> np.ndarray:
    """The canonical index of each feature in torch's (channel, height, width) order."""
    if shape is None:
        return np.arange(features)
    return np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()


def _dense_slots(
    place: PlacedLayer, module: nn.Linear, before: Shape | None, after: Shape | None
) -> list[Slot]:
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


def _recurrent_slots(name: str, layer: GRU | LSTM, cell: nn.Module) -> Iterator[Slot]:
    names = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0", "bias": "bias_ih_l0"}
    if isinstance(layer, GRU):
        names["recurrent_bias"] = "bias_hh_l0"
    for way, suffix in zip(layer.directions, ("", "_reverse"), strict=False):
        for parameter, torch_name in names.items():
            convert = np.transpose if parameter.endswith("kernel") else _same
            tensor = cell.get_parameter(torch_name + suffix)
            yield Slot(f"{name}/{way}/{parameter}", tensor, convert, convert)


def slots_of(place: PlacedLayer, module: nn.Module, before: Shape | None, after: Shape | None) -> list[Slot]:
    """The slots of a layer's parameters.

    ``before`` and ``after`` are the shapes of the pictures that its inputs were flattened from and its
    outputs are reshaped to; None where memory has the canonical order, or there is no picture.
    """
    match module, place.layer:
        case nn.Linear(), _:
            return _dense_slots(place, module, before, after)
        case ((nn.Conv2d() | nn.ConvTranspose2d()), _):
            return _convolution_slots(place, module)
        case _, (GRU() | LSTM()) as layer:
            return list(_recurrent_slots(place.name, layer, module.get_submodule("cell")))
        case _:
            return []
