"""The kinds of layer as data, from which shapes, parameters and FLOPs follow.

No framework and no NumPy here. Shapes omit the batch and put channels last: a picture is
``(height, width, channels)``, a sequence ``(steps, features)``. A backend translates each kind into its
framework's own module, once.
"""

import math
from typing import ClassVar, Literal

import msgspec

Shape = tuple[int, ...]
#: ``relu`` is ``max(x, 0)`` with gradient 0 at zero. ``leaky_relu`` is ``x`` above zero and ``0.2 * x``
#: elsewhere (Radford et al. 2016), so its gradient at zero is 0.2: pictures with empty margins and zero
#: biases put many units exactly there.
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
Padding = Literal["valid", "same"]

LEAKY_RELU_SLOPE = 0.2


class Parameter(msgspec.Struct, frozen=True):
    """One trainable array of a layer, of ``shape`` in canonical layout.

    ``fan_in`` and ``fan_out`` count the connections of a unit. ``initializer`` uses them: ``glorot_uniform``
    draws from ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16), ``uniform_fan_in`` from
    ±1 / sqrt(fan_in), as PyTorch's layers do.
    """

    shape: Shape
    initializer: Literal["glorot_uniform", "uniform_fan_in", "zeros"]
    fan_in: int = 0
    fan_out: int = 0


class Layer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every kind of layer provides; the defaults are those of a layer without parameters.

    ``takes_axes`` is the number of axes that an input must have, without the batch; None: any.
    """

    takes_axes: ClassVar[int | None] = None

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample's output for an input of ``shape``."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """The trainable arrays by name for an input of ``shape``."""
        return {}

    def forward_flops(self, shape: Shape) -> int:
        """FLOPs of one sample: two for each multiply-add of a product; nothing else is counted."""
        return 0


def _kernel_and_bias(kernel_size: int, inputs: int, filters: int) -> dict[str, Parameter]:
    receptive_field = kernel_size**2
    kernel = Parameter(
        (kernel_size, kernel_size, inputs, filters),
        "glorot_uniform",
        fan_in=receptive_field * inputs,
        fan_out=receptive_field * filters,
    )
    return {"kernel": kernel, "bias": Parameter((filters,), "zeros")}


class Conv2D(Layer, frozen=True, tag="conv2d"):
    """Cross-correlation over ``(height, width, in)`` with bias, then the ``activation``.

    ``padding``: ``valid`` adds none; ``same`` pads with zeros so that an axis of length ``n`` becomes
    ``ceil(n / strides)``: ``total = max((ceil(n / strides) - 1) * strides + kernel_size - n, 0)`` zeros,
    ``total // 2`` of them before (TensorFlow's rule; PyTorch has no such mode with strides).

    Parameters: ``kernel (kernel_size, kernel_size, in, filters)``, ``bias (filters,)``.
    """

    takes_axes: ClassVar[int | None] = 3
    filters: int
    kernel_size: int
    activation: Activation | None = None
    strides: int = 1
    padding: Padding = "valid"

    def output_shape(self, shape: Shape) -> Shape:
        cut = self.kernel_size - 1 if self.padding == "valid" else 0
        height, width = (-(-(axis - cut) // self.strides) for axis in shape[:2])
        return (height, width, self.filters)

    def same_padding(self, axis: int) -> tuple[int, int]:
        """Zeros before and after an axis of this length, by the rule above; (0, 0) for ``valid``."""
        if self.padding == "valid":
            return (0, 0)
        outputs = -(-axis // self.strides)
        total = max((outputs - 1) * self.strides + self.kernel_size - axis, 0)
        return (total // 2, total - total // 2)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return _kernel_and_bias(self.kernel_size, shape[-1], self.filters)

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(self.output_shape(shape)) * self.kernel_size**2 * shape[-1]


class ConvTranspose2D(Layer, frozen=True, tag="conv_transpose2d"):
    """The gradient of a ``same`` convolution: ``(height, width, in)`` to ``strides`` times the size.

    ``output[strides * i + k - crop] += input[i] @ kernel[k]`` along each axis, nothing flipped, with
    ``crop = (kernel_size - strides) / 2``, which must be an integer; then the bias and the ``activation``.

    Parameters: ``kernel (kernel_size, kernel_size, in, filters)``, ``bias (filters,)``.
    """

    takes_axes: ClassVar[int | None] = 3
    filters: int
    kernel_size: int
    strides: int
    activation: Activation | None = None

    def __post_init__(self) -> None:
        if self.kernel_size < self.strides or (self.kernel_size - self.strides) % 2:
            raise ValueError("kernel_size - strides of a transposed convolution must be even and at least 0")

    @property
    def crop(self) -> int:
        """Rows cut from each side of the full output."""
        return (self.kernel_size - self.strides) // 2

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0] * self.strides, shape[1] * self.strides, self.filters)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return _kernel_and_bias(self.kernel_size, shape[-1], self.filters)

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.kernel_size**2 * self.filters


class MaxPool2D(Layer, frozen=True, tag="max_pool2d"):
    """Maximum over windows of ``pool_size`` that do not overlap; an incomplete last window is dropped.

    Where several values of a window are the maximum, as in black areas of a picture, only one of them gets
    the gradient: the first, in rows from the top.
    """

    takes_axes: ClassVar[int | None] = 3
    pool_size: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height // self.pool_size, width // self.pool_size, channels)


class Flatten(Layer, frozen=True, tag="flatten"):
    """All axes but the batch into one, in C order of the channels-last shape."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


class Reshape(Layer, frozen=True, tag="reshape"):
    """``(features,)`` to ``shape``, in C order of the channels-last shape."""

    takes_axes: ClassVar[int | None] = 1
    shape: Shape

    def output_shape(self, shape: Shape) -> Shape:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"{shape} cannot be reshaped to {self.shape}")
        return self.shape


class Dense(Layer, frozen=True, tag="dense"):
    """``x @ kernel + bias`` of ``(features,)``, then the ``activation``.

    Parameters: ``kernel (in, units)``, ``bias (units,)``.
    """

    takes_axes: ClassVar[int | None] = 1
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

    Masks are drawn again for every value of every sample at every step, from a generator that ``plan.seed``
    seeds. Inverted dropout (Srivastava et al. 2014, section 10): evaluation is the identity.
    """

    rate: float


class Recurrent(Layer, frozen=True):
    """What GRU and LSTM share: ``(steps, in)`` to ``(steps, units)``, or the last ``(units,)``.

    ``bidirectional`` runs a second layer over the reversed sequence, puts its outputs back into the order of
    time and appends them to the features: ``2 * units`` in all. Without ``return_sequences`` the output is
    that of each direction at its own last step. The state starts at zero. Parameters are ``forward/...`` and,
    if bidirectional, ``backward/...``.
    """

    takes_axes: ClassVar[int | None] = 2
    units: int
    bidirectional: bool = False
    return_sequences: bool = False

    def output_shape(self, shape: Shape) -> Shape:
        features = self.units * (2 if self.bidirectional else 1)
        return (shape[0], features) if self.return_sequences else (features,)

    @property
    def directions(self) -> tuple[str, ...]:
        """``forward``, and ``backward`` if bidirectional."""
        return ("forward", "backward") if self.bidirectional else ("forward",)

    def _parameters(self, inputs: int, gates: int, biases: tuple[str, ...]) -> dict[str, Parameter]:
        def uniform(*shape: int) -> Parameter:
            return Parameter(shape, "uniform_fan_in", fan_in=self.units)

        width = gates * self.units
        own = {"kernel": uniform(inputs, width), "recurrent_kernel": uniform(self.units, width)}
        own |= {bias: uniform(width) for bias in biases}
        return {f"{way}/{name}": parameter for way in self.directions for name, parameter in own.items()}

    def _flops(self, shape: Shape, gates: int) -> int:
        steps, inputs = shape
        return 2 * len(self.directions) * steps * gates * self.units * (inputs + self.units)


class GRU(Recurrent, frozen=True, tag="gru"):
    """Cho et al. (2014) with the reset gate applied after the product, as in cuDNN, PyTorch and Keras.

    With ``x (in,)``, ``h (units,)`` and columns in the gate order reset, update, candidate::

        r = sigmoid(x @ W_r + b_r + h @ U_r + c_r)
        z = sigmoid(x @ W_z + b_z + h @ U_z + c_z)
        n = tanh(x @ W_n + b_n + r * (h @ U_n + c_n))
        h = (1 - z) * n + z * h

    Parameters a direction: ``kernel W (in, 3 * units)``, ``recurrent_kernel U (units, 3 * units)``,
    ``bias b (3 * units,)``, ``recurrent_bias c (3 * units,)``.
    """

    gates: ClassVar[tuple[str, ...]] = ("reset", "update", "candidate")

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return self._parameters(shape[-1], 3, ("bias", "recurrent_bias"))

    def forward_flops(self, shape: Shape) -> int:
        return self._flops(shape, 3)


class LSTM(Recurrent, frozen=True, tag="lstm"):
    """Hochreiter and Schmidhuber (1997) with a forget gate, no peepholes, one bias.

    With columns in the gate order input, forget, candidate, output::

        i, f, o = sigmoid(x @ W_i + h @ U_i + b_i), likewise f and o
        g = tanh(x @ W_g + h @ U_g + b_g)
        c = f * c + i * g
        h = o * tanh(c)

    Parameters a direction: ``kernel W (in, 4 * units)``, ``recurrent_kernel U (units, 4 * units)``,
    ``bias b (4 * units,)``.
    """

    gates: ClassVar[tuple[str, ...]] = ("input", "forget", "candidate", "output")

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return self._parameters(shape[-1], 4, ("bias",))

    def forward_flops(self, shape: Shape) -> int:
        return self._flops(shape, 4)


AnyLayer = Conv2D | ConvTranspose2D | MaxPool2D | Flatten | Reshape | Dense | Dropout | GRU | LSTM
