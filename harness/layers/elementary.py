"""The simple layers: dense, activations, dropout, normalisation, pooling and upsampling."""

import math
from typing import ClassVar, Literal

from harness.layers.base import Initializer, Layer, Parameter, Shape, kernel_and_bias

# Functions that are applied to each value alone.

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


# Layers that treat each position of their input alike, and dropout.


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


# Normalisation of activations, over the batch or over the features.


class _Normalization(Layer, frozen=True):
    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"scale": Parameter(shape[-1:], "ones"), "bias": Parameter(shape[-1:], "zeros")}


class BatchNorm(_Normalization, frozen=True, tag="batch_norm"):
    """Ioffe and Szegedy (2015): each channel, the last axis, is normalised over the batch and all positions.

    In training, with the mean and the biased variance of the ``n`` values of a channel in this batch::

        y = scale * (x - mean) / sqrt(variance + epsilon) + bias
        running_mean = running_mean + update_rate * (mean - running_mean)
        running_variance = running_variance + update_rate * (variance * n / (n - 1) - running_variance)

    The gradient flows through mean and variance. In evaluation the running statistics take their place and
    do not change. ``n`` must be at least 2.

    The running variance is the unbiased one, because PyTorch keeps no other; Keras and flax keep the biased
    one. ``update_rate`` is what PyTorch calls momentum, and 1 minus what Keras and flax call momentum.
    ``epsilon`` is 1e-5 in PyTorch and flax, 1e-3 in Keras.

    Parameters: ``scale (channels,)`` of ones, ``bias (channels,)`` of zeros. State: ``running_mean
    (channels,)`` of zeros, ``running_variance (channels,)`` of ones.
    """

    epsilon: float = 1e-5
    update_rate: float = 0.1

    def state(self, shape: Shape) -> dict[str, Parameter]:
        return {
            "running_mean": Parameter(shape[-1:], "zeros"),
            "running_variance": Parameter(shape[-1:], "ones"),
        }


class LayerNorm(_Normalization, frozen=True, tag="layer_norm"):
    """Ba et al. (2016): each position is normalised over its features, the last axis.

    ``y = scale * (x - mean) / sqrt(variance + epsilon) + bias`` with the biased variance. ``epsilon`` is 1e-5
    in PyTorch, 1e-3 in Keras, 1e-6 in flax.

    Parameters: ``scale (features,)`` of ones, ``bias (features,)`` of zeros.
    """

    epsilon: float = 1e-5


class GroupNorm(_Normalization, frozen=True, tag="group_norm"):
    """Wu and He (2018): each sample is normalised over all positions and the channels of a group.

    The channels, the last axis, are cut into ``groups`` of consecutive ones. ``y = scale * (x - mean) /
    sqrt(variance + epsilon) + bias`` with the biased variance. It depends on no other sample, so it can take
    the place of batch normalisation in training with differential privacy. ``epsilon`` is 1e-5 in PyTorch,
    1e-3 in Keras, 1e-6 in flax.

    Parameters: ``scale (channels,)`` of ones, ``bias (channels,)`` of zeros.
    """

    groups: int
    epsilon: float = 1e-5

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-1] % self.groups:
            raise ValueError(f"its {self.groups} groups do not divide the {shape[-1]} channels of {shape}")
        return shape


# Pictures made smaller or larger.


class _Pool2D(Layer, frozen=True):
    takes_axes: ClassVar[int | None] = 3
    pool_size: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height // self.pool_size, width // self.pool_size, channels)


class MaxPool2D(_Pool2D, frozen=True, tag="max_pool2d"):
    """Maximum over windows of ``pool_size`` that do not overlap; an incomplete last window is dropped.

    Where several values of a window are the maximum, as in black areas of a picture, only one of them gets
    the gradient: the first, in rows from the top.
    """


class AveragePool2D(_Pool2D, frozen=True, tag="average_pool2d"):
    """Mean over windows of ``pool_size`` that do not overlap; an incomplete last window is dropped."""


class GlobalAveragePool(Layer, frozen=True, tag="global_average_pool"):
    """Mean over all axes but the last: pictures or sequences to ``(channels,)``."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2:  # noqa: PLR2004
            raise ValueError(f"there is no axis to average over in {shape}")
        return shape[-1:]


class UpSample2D(Layer, frozen=True, tag="up_sample2d"):
    """Repeats each row and column ``factor`` times (nearest neighbour)."""

    takes_axes: ClassVar[int | None] = 3
    factor: int

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height * self.factor, width * self.factor, channels)


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


ElementaryLayer = (
    Dense
    | Dropout
    | Activation
    | BatchNorm
    | LayerNorm
    | GroupNorm
    | MaxPool2D
    | AveragePool2D
    | GlobalAveragePool
    | UpSample2D
    | Flatten
    | Reshape
)
