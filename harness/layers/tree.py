"""Layers that contain layers, and every layer of a tree in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from harness.layers.attention import Embedding, PositionEmbedding, SelfAttention, Unembedding
from harness.layers.base import Described, Layer, Shape
from harness.layers.convolutions import Conv1D, Conv2D, ConvTranspose2D
from harness.layers.elementary import Dropout, ElementaryLayer
from harness.layers.native import Native
from harness.layers.recurrent import GRU, LSTM


class Composite(Layer, frozen=True):
    """A layer that contains sequences of layers, its branches; parameters and state are theirs."""

    def branches(self) -> dict[str, tuple[AnyLayer, ...]]:
        """Return the sequences by name, all applied to the layer's input; an empty one is the identity."""
        raise NotImplementedError

    def joined_shape(self, shape: Shape, outputs: dict[str, Shape]) -> Shape:
        """Return the output shape for an input of ``shape`` and branches with the shapes ``outputs``."""
        raise NotImplementedError

    def output_shape(self, shape: Shape) -> Shape:
        outputs = {}
        for name, layers in self.branches().items():
            places = place_layers(layers, shape, f"{name}/")
            outputs[name] = places[-1].output_shape if places else shape
        return self.joined_shape(shape, outputs)


class Residual(Composite, frozen=True, tag="residual"):
    """``shortcut(x) + body(x)`` (He et al. 2016); an empty ``shortcut`` is the identity.

    The activation after the sum, where there is one, is a layer of its own.
    """

    body: tuple[AnyLayer, ...]
    shortcut: tuple[AnyLayer, ...] = ()

    def branches(self) -> dict[str, tuple[AnyLayer, ...]]:
        return {"body": self.body, "shortcut": self.shortcut}

    def joined_shape(self, shape: Shape, outputs: dict[str, Shape]) -> Shape:
        body, shortcut = outputs["body"], outputs["shortcut"]
        if body != shortcut:
            raise ValueError(
                f"its body makes {body} of {shape} and its shortcut {shortcut}; both must be equal"
            )
        return body


class Skip(Composite, frozen=True, tag="skip"):
    """``concatenate(x, body(x))`` along the last axis; nested, it is a U-Net (Ronneberger et al. 2015)."""

    body: tuple[AnyLayer, ...]

    def branches(self) -> dict[str, tuple[AnyLayer, ...]]:
        return {"body": self.body}

    def joined_shape(self, shape: Shape, outputs: dict[str, Shape]) -> Shape:
        body = outputs["body"]
        if body[:-1] != shape[:-1]:
            raise ValueError(
                f"its body makes {body} of {shape}; all axes but the last must be equal to be concatenated"
            )
        return (*shape[:-1], shape[-1] + body[-1])


AnyLayer = (
    ElementaryLayer
    | Conv2D
    | Conv1D
    | ConvTranspose2D
    | Embedding
    | PositionEmbedding
    | SelfAttention
    | Unembedding
    | Native
    | GRU
    | LSTM
    | Residual
    | Skip
)


class PlacedLayer(msgspec.Struct, metaclass=Described, frozen=True):
    """A layer in its place: ``name``, its path in the network, ``input_shape`` and ``output_shape``.

    ``branches`` are the layers of a composite one in their places, by the name of the branch; an empty
    branch is the identity.
    """

    name: str
    layer: AnyLayer
    input_shape: Shape
    output_shape: Shape = ()
    branches: dict[str, tuple[PlacedLayer, ...]] = {}


def place_layers(layers: Sequence[AnyLayer], shape: Shape, prefix: str = "") -> tuple[PlacedLayer, ...]:
    """Give each layer its name (``conv2d_1``, ``residual_2``, ...), its shapes and its branches, in order.

    Raises:
        ValueError: a layer does not fit its input; the message names the layer by its path.
    """
    counts: dict[str, int] = {}
    placed = []
    for layer in layers:
        kind = str(layer.__struct_config__.tag)
        counts[kind] = counts.get(kind, 0) + 1
        place = _placed(f"{prefix}{kind}_{counts[kind]}", layer, shape)
        placed.append(place)
        shape = place.output_shape
    return tuple(placed)


def leaves(places: Sequence[PlacedLayer]) -> Iterator[PlacedLayer]:
    """Yield every layer that contains no other, in order of use."""
    for place in places:
        if isinstance(place.layer, Composite):
            for branch in place.branches.values():
                yield from leaves(branch)
        else:
            yield place


def exchanged(
    layers: Sequence[AnyLayer], exchange: Callable[[AnyLayer], AnyLayer | None]
) -> tuple[AnyLayer, ...]:
    """Replace each layer that contains no other by ``exchange(layer)``; None leaves it out."""
    kept: list[AnyLayer] = []
    for layer in layers:
        if isinstance(layer, Composite):
            branches = {name: exchanged(inner, exchange) for name, inner in layer.branches().items()}
            kept.append(msgspec.structs.replace(layer, **branches))
        else:
            kept += filter(None, [exchange(layer)])
    return tuple(kept)


def _placed(name: str, layer: AnyLayer, shape: Shape) -> PlacedLayer:
    _check(name, layer, shape)
    branches = {}
    if isinstance(layer, Composite):
        branches = {
            branch: place_layers(layers, shape, f"{name}/{branch}/")
            for branch, layers in layer.branches().items()
        }
    try:
        if isinstance(layer, Composite):
            ends = {
                branch: places[-1].output_shape if places else shape for branch, places in branches.items()
            }
            output = layer.joined_shape(shape, ends)
        else:
            output = layer.output_shape(shape)
    except ValueError as error:
        raise ValueError(f"{name} does not fit its input: {error}") from error
    if any(axis < 1 for axis in output):
        raise ValueError(f"the output of {name} would have shape {output}")
    return PlacedLayer(name, layer, shape, output, branches)


def _check(name: str, layer: AnyLayer, shape: Shape) -> None:
    if layer.takes_axes is not None and len(shape) != layer.takes_axes:
        raise ValueError(f"{name} takes inputs of {layer.takes_axes} axes, and {shape} has {len(shape)}")
    for field in msgspec.structs.fields(layer):
        value = getattr(layer, field.name)
        if field.type is int and value < 1:
            raise ValueError(f"{field.name} of {name} must be at least 1, not {value}")
        if field.name == "epsilon" and not value > 0:
            raise ValueError(f"epsilon of {name} must be above 0, not {value}")
    match layer:
        case Dropout(rate) | SelfAttention(dropout=rate) if not 0 <= rate < 1:
            raise ValueError(f"the dropout rate of {name} must be at least 0 and below 1, not {rate}")
        case Residual(body=()) | Skip(body=()):
            raise ValueError(f"the body of {name} has no layer")
