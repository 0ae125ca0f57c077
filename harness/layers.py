"""Networks as data: a short list of layers, from which shapes, parameters and FLOPs follow.

No framework and no NumPy here. Shapes leave the batch out and put channels last: a picture is
``(height, width, channels)``. A backend translates each layer into its framework's own module.
"""

import math
from typing import Literal

import msgspec

Shape = tuple[int, ...]
Activation = Literal["relu"]


class Parameter(msgspec.Struct, frozen=True):
    """One trainable array of a layer, in canonical layout.

    ``fan_in`` and ``fan_out`` count the connections of one unit, as in Glorot and Bengio (2010);
    the initialiser reads them.
    """

    shape: Shape
    initializer: Literal["glorot_uniform", "zeros"]
    fan_in: int = 0
    fan_out: int = 0


class Layer(msgspec.Struct, frozen=True):
    """What every kind of layer can tell of itself; the defaults are those of a layer without parameters."""

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample's output for an input of ``shape``."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """The trainable arrays by name for an input of ``shape``."""
        return {}

    def forward_flops(self, shape: Shape) -> int:
        """FLOPs of one sample: two for each multiply-add of a product; the rest is not counted."""
        return 0


class Conv2D(Layer, frozen=True, tag="conv2d"):
    """Cross-correlation over ``(height, width, in)``, stride 1, no padding, with bias.

    Parameters: ``kernel (kernel_size, kernel_size, in, filters)``, ``bias (filters,)``.
    """

    filters: int
    kernel_size: int
    activation: Activation | None = None

    def output_shape(self, shape: Shape) -> Shape:
        height, width, _ = shape
        return (height - self.kernel_size + 1, width - self.kernel_size + 1, self.filters)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        receptive_field = self.kernel_size**2
        kernel = Parameter(
            (self.kernel_size, self.kernel_size, shape[-1], self.filters),
            "glorot_uniform",
            fan_in=receptive_field * shape[-1],
            fan_out=receptive_field * self.filters,
        )
        return {"kernel": kernel, "bias": Parameter((self.filters,), "zeros")}

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(self.output_shape(shape)) * self.kernel_size**2 * shape[-1]


class MaxPool2D(Layer, frozen=True, tag="max_pool2d"):
    """Maximum over windows of ``pool_size`` that do not overlap; an incomplete last window is dropped."""

    pool_size: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height // self.pool_size, width // self.pool_size, channels)


class Flatten(Layer, frozen=True, tag="flatten"):
    """All axes but the batch into one, in C order of the channels-last shape."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


class Dense(Layer, frozen=True, tag="dense"):
    """``x @ kernel + bias`` over the last axis. Parameters: ``kernel (in, units)``, ``bias (units,)``."""

    units: int
    activation: Activation | None = None

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        kernel = Parameter((shape[-1], self.units), "glorot_uniform", fan_in=shape[-1], fan_out=self.units)
        return {"kernel": kernel, "bias": Parameter((self.units,), "zeros")}

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.units


class Dropout(Layer, frozen=True, tag="dropout"):
    """In training each value is zeroed with probability ``rate`` and the rest scaled by ``1 / (1 - rate)``.

    Inverted dropout (Srivastava et al. 2014, section 10): evaluation is the identity.
    """

    rate: float


AnyLayer = Conv2D | MaxPool2D | Flatten | Dense | Dropout


class PlacedLayer(msgspec.Struct, frozen=True):
    """A layer with its name in the network and the shape of what comes in."""

    name: str
    layer: AnyLayer
    input_shape: Shape


class Network(msgspec.Struct, frozen=True):
    """Layers applied one after the other to inputs of ``input_shape``."""

    input_shape: Shape
    layers: tuple[AnyLayer, ...]

    def placed(self) -> tuple[PlacedLayer, ...]:
        """Each layer with its name (``conv2d_1``, ``dense_2``, ...) and input shape, in order.

        Raises:
            ValueError: a layer's output would be empty, as a pool after pictures that are too small.
        """
        shape = self.input_shape
        counts: dict[str, int] = {}
        placed = []
        for layer in self.layers:
            kind = str(layer.__struct_config__.tag)
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
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
        """How many trainable numbers the network holds."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters().values())

    def forward_flops(self) -> int:
        """FLOPs of one sample's forward pass: the matrix products and convolutions."""
        return sum(place.layer.forward_flops(place.input_shape) for place in self.placed())
