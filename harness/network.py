"""A network as data: a tree of layers, from which names, shapes and sizes follow."""

import math
from collections.abc import Iterator

import msgspec

from harness.layers import AnyLayer, Embedding, Native, Parameter, PlacedLayer, Shape, Unembedding, leaves
from harness.layers.base import Described
from harness.layers.tree import place_layers

__all__ = ["Network", "PlacedLayer"]


class Network(msgspec.Struct, metaclass=Described, frozen=True):
    """``layers`` that are applied in order to inputs of ``input_shape``."""

    input_shape: Shape
    layers: tuple[AnyLayer, ...]

    def placed(self) -> tuple[PlacedLayer, ...]:
        """Give each layer its name (``conv2d_1``, ``residual_2``, ...) and its shapes, in order.

        Raises:
            ValueError: there is no layer, or a layer does not fit its input, such as a pool of a picture that
                is too small; the message names the layer.
        """
        if not self.layers:
            raise ValueError("a network needs at least one layer")
        places = place_layers(self.layers, self.input_shape)
        _check_embeddings(places)
        return places

    def leaves(self) -> Iterator[PlacedLayer]:
        """Return every layer that contains no other by path, in order of use; raises as :meth:`placed`."""
        return leaves(self.placed())

    def output_shape(self) -> Shape:
        """Return the shape of one sample's output."""
        return self.placed()[-1].output_shape

    def vocabulary(self) -> int | None:
        """Count the different tokens that the network takes; None for a network whose inputs are numbers."""
        first = self.layers[0] if self.layers else None
        return first.vocabulary if isinstance(first, Embedding | Native) else None

    def parameters(self) -> dict[str, Parameter]:
        """Return trainable arrays by name (``residual_1/body/conv2d_1/kernel``), in order of the layers."""
        return {
            f"{place.name}/{name}": parameter
            for place in self.leaves()
            for name, parameter in place.layer.parameters(place.input_shape).items()
        }

    def state(self) -> dict[str, Parameter]:
        """Return every array that training changes without a gradient by name, in order of the layers."""
        return {
            f"{place.name}/{name}": array
            for place in self.leaves()
            for name, array in place.layer.state(place.input_shape).items()
        }

    def parameter_count(self) -> int:
        """Count the trainable values."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters().values())

    def forward_flops(self) -> int:
        """Count the FLOPs of one sample's forward pass: matrix products and convolutions."""
        return sum(place.layer.forward_flops(place.input_shape) for place in self.leaves())


def _check_embeddings(places: tuple[PlacedLayer, ...]) -> None:
    """Check that only the first layer takes tokens, and that each :class:`Unembedding` has its table."""
    all_leaves = list(leaves(places))
    tables = {place.name: place.layer for place in all_leaves if isinstance(place.layer, Embedding)}
    for place in all_leaves:
        layer = place.layer
        if isinstance(layer, Embedding) and place is not places[0]:
            raise ValueError(f"{place.name} must be the first layer, because it takes tokens")
        if isinstance(layer, Unembedding):
            table, (*_, width) = tables.get(layer.embedding), place.input_shape
            if table is None or (table.vocabulary, table.width) != (layer.vocabulary, width):
                raise ValueError(
                    f"{place.name} needs an embedding named {layer.embedding} with a table of "
                    f"{layer.vocabulary} by {width}"
                )
