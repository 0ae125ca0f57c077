"""TensorFlow's functions that round to float32, by their formulas in float64."""

import functools
import math
from typing import Any

import tensorflow as tf
from keras.src import backend

from harness_keras.port.float64 import wide

Tensor = Any


def install() -> None:
    """Put them into the places of Keras's and TensorFlow's own."""
    backend.nn.leaky_relu = leaky_relu
    backend.nn.gelu = gelu
    tf.nn.leaky_relu = lambda features, alpha=0.2, name=None: leaky_relu(features, alpha)  # noqa: ARG005
    tf.nn.gelu = lambda features, approximate=False, name=None: gelu(features, approximate)  # noqa: ARG005
    tf.cast = _cast(tf.cast)


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """``x`` above zero, ``negative_slope * x`` elsewhere; TensorFlow's own rounds the slope."""
    return tf.where(x > 0, x, negative_slope * x)


def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """``x`` times the normal distribution function, or its approximation.

    TensorFlow's own rounds its constants.
    """
    if approximate:
        return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + tf.math.erf(x * math.sqrt(0.5)))


def _cast(original: Any) -> Any:
    @functools.wraps(original)
    def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
        return original(x, wide(dtype), name)

    return cast
