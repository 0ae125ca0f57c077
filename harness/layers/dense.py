"""Layers that treat each position of their input alike, and dropout."""

import math

from harness.layers.activations import ActivationName
from harness.layers.base import Initializer, Layer, Parameter, Shape, kernel_and_bias


class Dense(Layer, frozen=True, tag="dense"):
    """``x @ kernel + bias`` of the last axis, then the ``activation``: ``(..., in)`` to ``(..., units)``.

    Parameters: ``kernel (in, units)``, drawn by ``initializer``; with ``bias`` also ``bias (units,)`` of
    zeros.
    """

    units: int
    activation: ActivationName | None = None
    bias: bool = True
    initializer: Initializer = "glorot_uniform"

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        kernel = Parameter((shape[-1], self.units), self.initializer, fan_in=shape[-1], fan_out=self.units)
        return kernel_and_bias(kernel, self.units, bias=self.bias)

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.units


class Dropout(Layer, frozen=True, tag="dropout"):
    """In training each value is zeroed with probability ``rate`` and the rest scaled by ``1 / (1 - rate)``.

    Masks are drawn again for every value of every sample at every step, from a generator that ``plan.seed``
    seeds. Inverted dropout (Srivastava et al. 2014, section 10): evaluation is the identity.
    """

    rate: float
