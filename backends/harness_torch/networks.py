"""A network as a tree of torch modules, the slots of its weights, and the order of features."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from harness import layers as kinds
from harness.layers import PlacedLayer, Shape
from harness.network import Network
from harness_torch import layers
from harness_torch.attention import Unembedding
from harness_torch.layers import is_picture
from harness_torch.native import NativeModule, NativeSlot, native_module, native_slots
from harness_torch.slots import Slot, slots_of

# The order of features beside a dense layer is torch's own where that saves a copy.
#
# Canonical ``Flatten`` and ``Reshape`` are in (height, width, channel) order. With plain NCHW memory the rows
# or columns of a dense kernel next to them are reordered once, when weights are loaded; with channels-last
# memory a view has that order already. Either way no step copies for it. Where no dense layer is adjacent,
# such as at the end of a branch, plain memory is permuted.


@dataclass(frozen=True)
class FeatureOrder:
    """What the neighbours of a layer mean for its features.

    ``reordered``: this ``Flatten`` or ``Reshape`` keeps torch's order, because the dense layer next to it has
    it too. ``before`` and ``after`` are the shapes of the pictures that the inputs of a dense layer were
    flattened from and its outputs are reshaped to; None where they have the canonical order.
    """

    reordered: bool = False
    before: Shape | None = None
    after: Shape | None = None


def feature_order(places: Sequence[PlacedLayer], position: int) -> FeatureOrder:
    """Return the order of features at a layer of a sequence in plain NCHW memory."""
    before = _nearest(reversed(places[:position]))
    after = _nearest(places[position + 1 :])
    match places[position].layer:
        case kinds.Flatten():
            return FeatureOrder(reordered=_is_dense(after))
        case kinds.Reshape():
            return FeatureOrder(reordered=_is_dense(before))
        case kinds.Dense():
            return FeatureOrder(before=_flattened(before), after=_reshaped(after))
    return FeatureOrder()


def _nearest(places: Iterable[PlacedLayer]) -> PlacedLayer | None:
    """Return the first layer that depends on the order of features."""
    return next(
        (place for place in places if not isinstance(place.layer, kinds.Dropout | kinds.Activation)), None
    )


def _is_dense(place: PlacedLayer | None) -> bool:
    return place is not None and isinstance(place.layer, kinds.Dense)


def _flattened(place: PlacedLayer | None) -> Shape | None:
    match place:
        case PlacedLayer(layer=kinds.Flatten(), input_shape=shape) if is_picture(shape):
            return shape
    return None


def _reshaped(place: PlacedLayer | None) -> Shape | None:
    match place:
        case PlacedLayer(layer=kinds.Reshape(shape)) if is_picture(shape):
            return shape
    return None


# Modules and slots.


#: Layers whose output is new memory that their own gradient does not need.
_OVERWRITABLE = (
    kinds.Conv2D,
    kinds.Conv1D,
    kinds.ConvTranspose2D,
    kinds.Dense,
    kinds.BatchNorm,
    kinds.LayerNorm,
    kinds.Residual,
)


def build_network(network: Network, *, channels_last: bool) -> tuple[nn.Sequential, list[Slot | NativeSlot]]:
    """Build one module for ``(batch, C, H, W)`` or ``(batch, ...)``; returns its weights too."""
    builder = _Builder(channels_last=channels_last)
    return builder.sequence(network.placed()), builder.slots


class _Builder:
    """Builds modules and collects the slots of their weights, in the order of the layers."""

    def __init__(self, *, channels_last: bool) -> None:
        self.slots: list[Slot | NativeSlot] = []
        self._channels_last = channels_last
        self._tables: dict[str, torch.Tensor] = {}  # of embeddings, by their name

    def sequence(self, places: Sequence[PlacedLayer]) -> nn.Sequential:
        """Build the layers of the network or of a branch, one after the other."""
        modules: list[nn.Module] = []
        for position, place in enumerate(places):
            order = FeatureOrder() if self._channels_last else feature_order(places, position)
            for module in self._modules(place, places[position - 1] if position else None, order):
                modules.append(module)
                if isinstance(place.layer, kinds.Native) and isinstance(module, NativeModule):
                    self.slots += native_slots(place, place.layer, module)
                else:
                    self.slots += slots_of(place, module, order.before, order.after)
            if function := _own_activation(place):
                modules.append(layers.activation(function, inplace=True))
        return nn.Sequential(*modules)

    def _modules(
        self, place: PlacedLayer, previous: PlacedLayer | None, order: FeatureOrder
    ) -> Iterator[nn.Module]:
        layer, shape = place.layer, place.input_shape
        match layer:
            case kinds.Conv2D():
                yield from layers.convolution(layer, shape)
            case kinds.Activation(function):
                yield layers.activation(function, inplace=_is_overwritable(previous))
            case kinds.Embedding(vocabulary, width):
                embedding = nn.Embedding(vocabulary, width)
                self._tables[place.name] = embedding.weight
                yield embedding
            case kinds.Native():
                yield native_module(layer)
            case kinds.Unembedding():
                yield Unembedding(self._tables[layer.embedding])
            case kinds.Residual():
                branches = {name: self.sequence(branch) for name, branch in place.branches.items()}
                yield layers.Residual(**branches)
            case kinds.Skip():
                yield layers.Skip(self.sequence(place.branches["body"]), 1 if is_picture(shape) else -1)
            case kinds.Flatten() | kinds.Reshape():
                yield _reshaping(place, order)
            case _:
                yield layers.plain_module(layer, shape)


def _reshaping(place: PlacedLayer, order: FeatureOrder) -> nn.Module:
    if isinstance(place.layer, kinds.Flatten):
        plain = order.reordered or not is_picture(place.input_shape)
        return nn.Flatten() if plain else layers.FlattenChannelsLast()
    shape = place.output_shape
    if order.reordered or not is_picture(shape):
        return nn.Unflatten(1, layers.torch_shape(shape))
    return layers.UnflattenChannelsLast(shape)


def _own_activation(place: PlacedLayer) -> kinds.ActivationName | None:
    return getattr(place.layer, "activation", None)


def _is_overwritable(previous: PlacedLayer | None) -> bool:
    """Check that an activation may overwrite the output of the layer before it."""
    return (
        previous is not None
        and isinstance(previous.layer, _OVERWRITABLE)
        and _own_activation(previous) is None
    )
