"""A network as a tree of torch modules, and the slots of its weights."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from harness.layers import (
    Activation,
    ActivationName,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    LayerNorm,
    Native,
    PlacedLayer,
    Reshape,
    Residual,
    Skip,
    Unembedding,
)
from harness.network import Network
from harness_torch.modules import attention, pictures, tree
from harness_torch.modules.native import NativeModule, NativeSlot, native_module, native_slots
from harness_torch.modules.order import FeatureOrder, feature_order
from harness_torch.modules.pictures import is_picture
from harness_torch.modules.plain import activation, plain_module
from harness_torch.slots import Slot, slots_of

#: Layers whose output is new memory that their own gradient does not need.
_OVERWRITABLE = (Conv2D, Conv1D, ConvTranspose2D, Dense, BatchNorm, LayerNorm, Residual)


def build_network(network: Network, *, channels_last: bool) -> tuple[nn.Sequential, list[Slot | NativeSlot]]:
    """The network as one module for ``(batch, C, H, W)`` or ``(batch, ...)``, and its weights."""
    builder = _Builder(channels_last=channels_last)
    return builder.sequence(network.placed()), builder.slots


class _Builder:
    """Builds modules and collects the slots of their weights, in the order of the layers."""

    def __init__(self, *, channels_last: bool) -> None:
        self.slots: list[Slot | NativeSlot] = []
        self._channels_last = channels_last
        self._tables: dict[str, torch.Tensor] = {}  # of embeddings, by their name

    def sequence(self, places: Sequence[PlacedLayer]) -> nn.Sequential:
        """The layers of the network or of a branch, one after the other."""
        modules: list[nn.Module] = []
        for position, place in enumerate(places):
            order = FeatureOrder() if self._channels_last else feature_order(places, position)
            for module in self._modules(place, places[position - 1] if position else None, order):
                modules.append(module)
                if isinstance(place.layer, Native) and isinstance(module, NativeModule):
                    self.slots += native_slots(place, place.layer, module)
                else:
                    self.slots += slots_of(place, module, order.before, order.after)
            if function := _own_activation(place):
                modules.append(activation(function, inplace=True))
        return nn.Sequential(*modules)

    def _modules(
        self, place: PlacedLayer, previous: PlacedLayer | None, order: FeatureOrder
    ) -> Iterator[nn.Module]:
        layer, shape = place.layer, place.input_shape
        match layer:
            case Conv2D():
                yield from pictures.convolution(layer, shape)
            case Activation(function):
                yield activation(function, inplace=_is_overwritable(previous))
            case Embedding(vocabulary, width):
                embedding = nn.Embedding(vocabulary, width)
                self._tables[place.name] = embedding.weight
                yield embedding
            case Native():
                yield native_module(layer)
            case Unembedding():
                yield attention.Unembedding(self._tables[layer.embedding])
            case Residual():
                branches = {name: self.sequence(branch) for name, branch in place.branches.items()}
                yield tree.Residual(**branches)
            case Skip():
                yield tree.Skip(self.sequence(place.branches["body"]), 1 if is_picture(shape) else -1)
            case Flatten() | Reshape():
                yield _reshaping(place, order)
            case _:
                yield plain_module(layer, shape)


def _reshaping(place: PlacedLayer, order: FeatureOrder) -> nn.Module:
    if isinstance(place.layer, Flatten):
        plain = order.reordered or not is_picture(place.input_shape)
        return nn.Flatten() if plain else pictures.FlattenChannelsLast()
    shape = place.output_shape
    if order.reordered or not is_picture(shape):
        return nn.Unflatten(1, pictures.torch_shape(shape))
    return pictures.UnflattenChannelsLast(shape)


def _own_activation(place: PlacedLayer) -> ActivationName | None:
    return getattr(place.layer, "activation", None)


def _is_overwritable(previous: PlacedLayer | None) -> bool:
    """Whether an activation may overwrite the output of the layer before it."""
    return (
        previous is not None
        and isinstance(previous.layer, _OVERWRITABLE)
        and _own_activation(previous) is None
    )
