"""Recurrent layers over sequences."""

from typing import ClassVar

from harness.layers.base import Layer, Parameter, Shape


class Recurrent(Layer, frozen=True):
    """What GRU and LSTM share: ``(steps, in)`` to ``(steps, units)``, or the last ``(units,)``.

    ``bidirectional`` runs a second layer over the reversed sequence, puts its outputs back into the order of
    time and appends them to the features: ``2 * units`` in all. Without ``return_sequences`` the output is
    that of each direction at its own last step. The state starts at zero. Parameters are ``forward/...`` and,
    if bidirectional, ``backward/...``.
    """

    takes_axes: ClassVar[int | None] = 2
    gates: ClassVar[tuple[str, ...]]
    biases: ClassVar[tuple[str, ...]]
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

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        def uniform(*shape: int) -> Parameter:
            return Parameter(shape, "uniform_fan_in", fan_in=self.units)

        width = len(self.gates) * self.units
        own = {"kernel": uniform(shape[-1], width), "recurrent_kernel": uniform(self.units, width)}
        own |= {bias: uniform(width) for bias in self.biases}
        return {f"{way}/{name}": parameter for way in self.directions for name, parameter in own.items()}

    def forward_flops(self, shape: Shape) -> int:
        steps, inputs = shape
        return 2 * len(self.directions) * steps * len(self.gates) * self.units * (inputs + self.units)


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

    gates = ("reset", "update", "candidate")
    biases = ("bias", "recurrent_bias")


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

    gates = ("input", "forget", "candidate", "output")
    biases = ("bias",)
