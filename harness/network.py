"""A network as data: a sequence of layers, from which names, shapes and sizes follow."""

import math

import msgspec

from harness.layers import AnyLayer, Dropout, Parameter, Shape


class PlacedLayer(msgspec.Struct, frozen=True):
    """A layer with its ``name`` in the network, and ``input_shape``, the shape of its input."""

    name: str
    layer: AnyLayer
    input_shape: Shape


class Network(msgspec.Struct, frozen=True):
    """``layers`` that are applied in order to inputs of ``input_shape``."""

    input_shape: Shape
    layers: tuple[AnyLayer, ...]

    def placed(self) -> tuple[PlacedLayer, ...]:
        """Each layer with its name (``conv2d_1``, ``dense_2``, ...) and input shape, in order.

        Raises:
            ValueError: there is no layer, or one does not fit its input, such as a pool of a picture that is
                too small; names the layer.
        """
        if not self.layers:
            raise ValueError("a network needs at least one layer")
        shape = self.input_shape
        counts: dict[str, int] = {}
        placed = []
        for layer in self.layers:
            kind = str(layer.__struct_config__.tag)
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
            _check(name, layer, shape)
            placed.append(PlacedLayer(name, layer, shape))
            shape = layer.output_shape(shape)
            if any(axis < 1 for axis in shape):
                raise ValueError(f"the output of {name} would have shape {shape}")
        return tuple(placed)

    def output_shape(self) -> Shape:
        """The shape of one sample's output."""
        last = self.placed()[-1]
        return last.layer.output_shape(last.input_shape)

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by name (``conv2d_1/kernel``), in the order of the layers."""
        return {
            f"{place.name}/{name}": parameter
            for place in self.placed()
            for name, parameter in place.layer.parameters(place.input_shape).items()
        }

    def parameter_count(self) -> int:
        """The number of trainable values."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters().values())

    def forward_flops(self) -> int:
        """FLOPs of one sample's forward pass: matrix products and convolutions."""
        return sum(place.layer.forward_flops(place.input_shape) for place in self.placed())


def _check(name: str, layer: AnyLayer, shape: Shape) -> None:
    if layer.takes_axes is not None and len(shape) != layer.takes_axes:
        raise ValueError(f"{name} takes inputs of {layer.takes_axes} axes, and {shape} has {len(shape)}")
    for field in msgspec.structs.fields(layer):
        value = getattr(layer, field.name)
        if field.type is int and value < 1:
            raise ValueError(f"{field.name} of {name} must be at least 1, not {value}")
    if isinstance(layer, Dropout) and not 0 <= layer.rate < 1:
        raise ValueError(f"rate of {name} must be at least 0 and below 1, not {layer.rate}")
