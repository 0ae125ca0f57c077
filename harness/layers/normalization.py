"""Normalisation of activations, over the batch or over the features."""

from harness.layers.base import Layer, Parameter, Shape


def _scale_and_bias(shape: Shape) -> dict[str, Parameter]:
    return {"scale": Parameter(shape[-1:], "ones"), "bias": Parameter(shape[-1:], "zeros")}


class BatchNorm(Layer, frozen=True, tag="batch_norm"):
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

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return _scale_and_bias(shape)

    def state(self, shape: Shape) -> dict[str, Parameter]:
        return {
            "running_mean": Parameter(shape[-1:], "zeros"),
            "running_variance": Parameter(shape[-1:], "ones"),
        }


class LayerNorm(Layer, frozen=True, tag="layer_norm"):
    """Ba et al. (2016): each position is normalised over its features, the last axis.

    ``y = scale * (x - mean) / sqrt(variance + epsilon) + bias`` with the biased variance. ``epsilon`` is 1e-5
    in PyTorch, 1e-3 in Keras, 1e-6 in flax.

    Parameters: ``scale (features,)`` of ones, ``bias (features,)`` of zeros.
    """

    epsilon: float = 1e-5

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return _scale_and_bias(shape)
