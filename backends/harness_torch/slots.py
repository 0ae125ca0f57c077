"""Conversion of weights, parameters and state, between canonical and torch layout."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.layers import GRU, LSTM, Shape
from harness.network import PlacedLayer
from harness_torch.attention import Attention, Positions

Convert = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Slot:
    """The ``attribute`` of a module that holds a canonical array, and the conversions in both directions."""

    name: str
    owner: nn.Module
    attribute: str
    to_torch: Convert = np.asarray
    to_canonical: Convert = np.asarray

    @property
    def tensor(self) -> torch.Tensor:
        """The tensor as it is now: where a module is moved or converted, its buffers are replaced."""
        tensor: torch.Tensor = getattr(self.owner, self.attribute)
        return tensor


#: torch's names of the parameters and the state of a normalisation.
_NORMALISATION_NAMES = {
    "scale": "weight",
    "bias": "bias",
    "running_mean": "running_mean",
    "running_variance": "running_var",
}
#: How a kernel of so many spatial axes is turned, there and back: (..., in, out) <-> (out, in, ...).
_KERNEL_AXES = {1: ((2, 1, 0), (2, 1, 0)), 2: ((3, 2, 0, 1), (2, 3, 1, 0))}
#: Of a transposed convolution: (H, W, in, out) <-> (in, out, H, W).
_TRANSPOSED_AXES = ((2, 3, 0, 1), (2, 3, 0, 1))


def slots_of(
    place: PlacedLayer, module: nn.Module, before: Shape | None, after: Shape | None
) -> Iterator[Slot]:
    """Yield the slots of a layer's weights.

    ``before`` is the shape of the pictures from which the inputs were flattened, ``after`` that of the
    pictures to which the outputs are reshaped; None where memory has the canonical order, or there is no
    picture.
    """
    name = place.name
    match module, place.layer:
        case nn.Linear(), _:
            yield from _dense_slots(name, module, before, after)
        case ((nn.Conv1d() | nn.Conv2d() | nn.ConvTranspose2d()), _):
            yield from _convolution_slots(name, module)
        case nn.Embedding(), _:
            yield Slot(f"{name}/table", module, "weight")
        case Positions(), _:
            yield Slot(f"{name}/table", module, "table")
        case Attention(), _:
            for part in ("qkv", "output"):
                linear = module.get_submodule(part)
                yield Slot(f"{name}/{part}_kernel", linear, "weight", np.transpose, np.transpose)
                yield Slot(f"{name}/{part}_bias", linear, "bias")
        case _, (GRU() | LSTM()) as layer:
            yield from _recurrent_slots(name, layer, module.get_submodule("cell"))
        case nn.Module(eps=_), layer:  # a normalisation
            for own in layer.parameters(place.input_shape) | layer.state(place.input_shape):
                yield Slot(f"{name}/{own}", module, _NORMALISATION_NAMES[own])


def _feature_order(shape: Shape | None, features: int) -> np.ndarray:
    """Return the canonical index of each feature in torch's (channel, height, width) order."""
    if shape is None:
        return np.arange(features)
    return np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()


def _dense_slots(name: str, module: nn.Linear, before: Shape | None, after: Shape | None) -> Iterator[Slot]:
    rows = _feature_order(before, module.in_features)
    columns = _feature_order(after, module.out_features)
    rows_back, columns_back = np.argsort(rows), np.argsort(columns)
    yield Slot(
        f"{name}/kernel",
        module,
        "weight",
        lambda w: w[rows][:, columns].T,
        lambda w: w.T[rows_back][:, columns_back],
    )
    if module.bias is not None:
        yield Slot(f"{name}/bias", module, "bias", lambda b: b[columns], lambda b: b[columns_back])


def _convolution_slots(name: str, module: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> Iterator[Slot]:
    there, back = _KERNEL_AXES[len(module.kernel_size)]
    if isinstance(module, nn.ConvTranspose2d):
        there, back = _TRANSPOSED_AXES
    yield Slot(f"{name}/kernel", module, "weight", lambda w: w.transpose(there), lambda w: w.transpose(back))
    if module.bias is not None:
        yield Slot(f"{name}/bias", module, "bias")


def _recurrent_slots(name: str, layer: GRU | LSTM, cell: nn.Module) -> Iterator[Slot]:
    names = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0", "bias": "bias_ih_l0"}
    if isinstance(layer, GRU):
        names["recurrent_bias"] = "bias_hh_l0"
    for way, suffix in zip(layer.directions, ("", "_reverse"), strict=False):
        for parameter, torch_name in names.items():
            convert = np.transpose if parameter.endswith("kernel") else np.asarray
            yield Slot(f"{name}/{way}/{parameter}", cell, torch_name + suffix, convert, convert)
