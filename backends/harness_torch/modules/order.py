"""The order of features beside a dense layer, which is torch's own where that saves a copy.

Canonical ``Flatten`` and ``Reshape`` are in (height, width, channel) order. With plain NCHW memory the rows
or columns of a dense kernel next to them are reordered once, when weights are loaded; with channels-last
memory a view has that order already. Either way no step copies for it. Where no dense layer is adjacent, such
as at the end of a branch, plain memory is permuted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.layers import Activation, Dense, Dropout, Flatten, PlacedLayer, Reshape, Shape
from harness_torch.modules.pictures import is_picture


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
    """The order of features at a layer of a sequence in plain NCHW memory."""
    before = _nearest(reversed(places[:position]))
    after = _nearest(places[position + 1 :])
    match places[position].layer:
        case Flatten():
            return FeatureOrder(reordered=_is_dense(after))
        case Reshape():
            return FeatureOrder(reordered=_is_dense(before))
        case Dense():
            return FeatureOrder(before=_flattened(before), after=_reshaped(after))
    return FeatureOrder()


def _nearest(places: Iterable[PlacedLayer]) -> PlacedLayer | None:
    """The first layer that depends on the order of features."""
    return next((place for place in places if not isinstance(place.layer, Dropout | Activation)), None)


def _is_dense(place: PlacedLayer | None) -> bool:
    return place is not None and isinstance(place.layer, Dense)


def _flattened(place: PlacedLayer | None) -> Shape | None:
    match place:
        case PlacedLayer(layer=Flatten(), input_shape=shape) if is_picture(shape):
            return shape
    return None


def _reshaped(place: PlacedLayer | None) -> Shape | None:
    match place:
        case PlacedLayer(layer=Reshape(shape)) if is_picture(shape):
            return shape
    return None
