"""Functions that are applied to each value alone."""

from typing import Literal

from harness.layers.base import Layer

#: ``relu`` is ``max(x, 0)`` with gradient 0 at zero. ``leaky_relu`` is ``x`` above zero and ``0.2 * x``
#: elsewhere (Radford et al. 2016), so its gradient at zero is 0.2: pictures with empty margins and zero
#: biases put many units exactly there. ``gelu`` is ``0.5 * x * (1 + erf(x / sqrt(2)))`` (Hendrycks and
#: Gimpel 2016), ``gelu_tanh`` their approximation ``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 *
#: x**3)))``. ``silu`` is ``x * sigmoid(x)`` (Elfwing et al. 2018).
ActivationName = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "gelu_tanh", "silu"]

LEAKY_RELU_SLOPE = 0.2


class Activation(Layer, frozen=True, tag="activation"):
    """Applies ``function`` to each value; see :data:`ActivationName`.

    A bare "GELU" is exact in PyTorch and Keras, and the approximation by tanh in JAX and in GPT-2.
    """

    function: ActivationName
