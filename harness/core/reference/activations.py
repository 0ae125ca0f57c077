"""Activations in plain NumPy: the output and the slope of each value."""

from collections.abc import Callable

import numpy as np

from harness.core.reference.passes import Array
from harness.layers import LEAKY_RELU_SLOPE, ActivationName


def _linear(y: Array) -> tuple[Array, Array]:
    return y, np.ones((), y.dtype)


def _relu(y: Array) -> tuple[Array, Array]:
    return np.maximum(y, 0), (y > 0).astype(y.dtype)


def _leaky_relu(y: Array) -> tuple[Array, Array]:
    slope = np.where(y > 0, 1.0, LEAKY_RELU_SLOPE)
    return y * slope, slope


def _tanh(y: Array) -> tuple[Array, Array]:
    y = np.tanh(y)
    return y, 1 - y * y


def logistic(y: Array) -> Array:
    """Compute ``1 / (1 + exp(-y))``, without overflow."""
    result: Array = 0.5 * (1 + np.tanh(0.5 * y))
    return result


def _sigmoid(y: Array) -> tuple[Array, Array]:
    y = logistic(y)
    return y, y * (1 - y)


def _silu(y: Array) -> tuple[Array, Array]:
    share = logistic(y)
    return y * share, share * (1 + y * (1 - share))


def _gelu(y: Array) -> tuple[Array, Array]:
    from scipy.special import ndtr  # the normal distribution function, to the last digits in its tails too

    share = ndtr(y)
    return y * share, share + y * np.exp(-0.5 * y * y) / np.sqrt(2 * np.pi)


def _gelu_tanh(y: Array) -> tuple[Array, Array]:
    root = np.sqrt(2 / np.pi)
    bent = np.tanh(root * (y + 0.044715 * y**3))
    slope = 0.5 * (1 + bent) + 0.5 * y * (1 - bent * bent) * root * (1 + 3 * 0.044715 * y * y)
    return 0.5 * y * (1 + bent), slope


ACTIVATIONS: dict[ActivationName | None, Callable[[Array], tuple[Array, Array]]] = {
    None: _linear,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}
