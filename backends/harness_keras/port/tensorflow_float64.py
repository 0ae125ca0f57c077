"""TensorFlow's functions that round to float32, by their formulas in float64."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src import backend

from harness.tracing.functions import each_of
from harness_keras.port.float64 import Replacement, is_narrow, wide

Tensor = Any


def replacements() -> tuple[Replacement, ...]:
    """Return the replacements for functions of Keras and TensorFlow."""
    return (
        (backend.nn, "leaky_relu", leaky_relu),
        (backend.nn, "gelu", gelu),
        (tf.nn, "leaky_relu", lambda features, alpha=0.2, **_: leaky_relu(features, alpha)),
        (tf.nn, "gelu", lambda features, approximate=False, **_: gelu(features, approximate)),
        (backend.nn, "max_pool", _pool(backend.nn.max_pool)),
        (backend.nn, "average_pool", _pool(backend.nn.average_pool)),
        (backend.nn, "conv", _conv(backend.nn.conv)),
        (backend.image, "resize", _resize(backend.image.resize)),
        (tf, "cast", _cast(tf.cast)),
        (backend.numpy, "signbit", _signbit(backend.numpy.signbit)),
        *((tf, name, _created(getattr(tf, name), values)) for name, values in _CREATED.items()),
    )


#: Functions that make tensors, and the arguments of which the numbers decide the type where none is given;
#: where there are none, it is float32.
_CREATED: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "convert_to_tensor": ("value",),
    "range": ("start", "limit", "delta"),
    "linspace": ("start", "stop"),
    "fill": ("value",),
    "zeros": (),
    "ones": (),
    "eye": (),
    "one_hot": (),
}


def _created(original: Callable[..., Tensor], values: tuple[str, ...]) -> Callable[..., Tensor]:
    """Make a function create float64 tensors where it would create a narrower type."""
    signature = inspect.signature(original)
    typed = "dtype" in signature.parameters

    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Tensor:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        if given.get("dtype") is not None:
            given["dtype"] = wide(given["dtype"])
        elif not values:
            given["dtype"] = wide(tf.float32)
        elif any(is_narrow(given[name]) for name in values if name in given) and wide("float32") != "float32":
            if typed:
                given["dtype"] = tf.float64
            else:
                given.update({name: np.asarray(given[name], np.float64) for name in values if name in given})
        return original(*bound.args, **bound.kwargs)

    return create


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """Compute ``x`` above zero, ``negative_slope * x`` elsewhere; TensorFlow's own rounds the slope."""
    return tf.where(x > 0, x, negative_slope * x)


def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """Return ``x`` times the normal distribution function, or its approximation.

    TensorFlow's own rounds its constants.
    """
    if approximate:
        return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + tf.math.erf(x * math.sqrt(0.5)))


def _pool(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Pool in float64; volumes by planes first, because TensorFlow has no float64 kernel for volumes."""

    @functools.wraps(original)
    def pool(
        inputs: Tensor,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
    ) -> Tensor:
        if len(inputs.shape) != 5:  # noqa: PLR2004
            return original(inputs, pool_size, strides, padding, data_format)
        first = backend.standardize_data_format(data_format) == "channels_first"
        x = tf.transpose(inputs, (0, 2, 3, 4, 1)) if first else inputs
        size = each_of(pool_size, 3)
        steps = size if strides is None else each_of(strides, 3)
        batch, depth, *plane, channels = x.shape
        planes = tf.reshape(x, (batch * depth, *plane, channels))
        planes = original(planes, size[1:], steps[1:], padding, "channels_last")
        lines = tf.reshape(planes, (batch, depth, -1, channels))
        lines = original(lines, (size[0], 1), (steps[0], 1), padding, "channels_last")
        y = tf.reshape(lines, (batch, -1, *planes.shape[1:]))
        return tf.transpose(y, (0, 4, 1, 2, 3)) if first else y

    return pool


def _conv(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Convolve; grouped convolutions of pictures without the compiler, which Keras would call each time."""

    @functools.wraps(original)
    def conv(
        inputs: Tensor,
        kernel: Tensor,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
    ) -> Tensor:
        first = backend.standardize_data_format(data_format) == "channels_first"
        picture = len(inputs.shape) == 4  # noqa: PLR2004
        groups = inputs.shape[-1] // kernel.shape[-2] if picture and not first else 1
        if groups == 1:
            return original(inputs, kernel, strides, padding, data_format, dilation_rate)
        steps, dilation = each_of(strides, 2), each_of(dilation_rate, 2)
        kernel = tf.convert_to_tensor(kernel)
        if kernel.shape[-2] == 1 and steps[0] == steps[1] and 1 in (max(steps), max(dilation)):
            filters = tf.reshape(kernel, (*kernel.shape[:2], groups, kernel.shape[-1] // groups))
            return tf.nn.depthwise_conv2d(
                inputs, filters, (1, *steps, 1), padding.upper(), dilations=dilation
            )
        parts = zip(tf.split(inputs, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
        made = [tf.nn.convolution(x, k, steps, padding.upper(), dilations=dilation) for x, k in parts]
        return tf.concat(made, axis=-1)

    return conv


def _resize(original: Any) -> Any:
    """Resize bilinearly or bicubically by products with matrices; TensorFlow's own returns float32."""

    @functools.wraps(original)
    def resize(images: Tensor, size: Any, interpolation: str = "bilinear", **options: Any) -> Tensor:
        unusual = any(options.get(name) for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"))
        if interpolation not in {"bilinear", "bicubic"} or unusual or len(images.shape) != 4:  # noqa: PLR2004
            return original(images, size, interpolation, **options)
        first = backend.standardize_data_format(options.get("data_format")) == "channels_first"
        equation = "ih,jw,bchw->bcij" if first else "ih,jw,bhwc->bijc"
        lengths = images.shape[2:] if first else images.shape[1:3]
        weights = (
            _weights(new, old, interpolation, antialias=bool(options.get("antialias")))
            for new, old in zip(size, lengths, strict=True)
        )
        return tf.einsum(equation, *weights, tf.cast(images, tf.float64))

    return resize


def _weights(size: int, length: int, interpolation: str, *, antialias: bool) -> np.ndarray:
    """Return weights ``(size, length)`` by half-pixel centres; bicubic after Keys (1981) with a = -0.5."""
    places = (np.arange(size) + 0.5) * (length / size) - 0.5
    x = np.abs(places[:, None] - np.arange(length)) / (max(1.0, length / size) if antialias else 1.0)
    made = np.maximum(0, 1 - x)
    if interpolation == "bicubic":
        outer = np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0)  # noqa: PLR2004  the kernel's reach
        made = np.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, outer)
    return np.asarray(made / made.sum(1, keepdims=True))


def _cast(original: Any) -> Any:
    @functools.wraps(original)
    def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
        if isinstance(x, int | float) and tf.as_dtype(wide(dtype)).is_floating:  # else float32 comes first
            return tf.constant(x, wide(dtype))
        return original(x, wide(dtype), name)

    return cast


def _signbit(original: Any) -> Any:
    """Read the sign of a float64 in its own bits; Keras, also for ``argmin``, reads that of a float32."""

    @functools.wraps(original)
    def signbit(x: Any) -> Tensor:
        x = backend.convert_to_tensor(x)
        return tf.bitcast(x, tf.int64) < 0 if x.dtype == tf.float64 else original(x)

    return signbit
