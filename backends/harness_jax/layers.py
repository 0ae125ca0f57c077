"""Each kind of layer as a pure function of its call and its input.

Canonical layout is JAX's own, so parameters and pictures are never rearranged.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import jax
from jax import lax
from jax import numpy as jnp

from harness import layers as kinds
from harness.layers import Shape

#: Parameters and state of a network or of a part of it, by their names there.
Weights = Mapping[str, jax.Array]

KindT = TypeVar("KindT", bound=kinds.Layer)


@dataclasses.dataclass(frozen=True, slots=True)
class Call(Generic[KindT]):
    """One use of a ``layer`` for an input of ``shape`` (without the batch).

    ``weights`` are the layer's own, ``network`` those of the whole network, both in the precision in which
    the layer computes. ``key`` is its random key in a training step, None in evaluation.

    A layer with state puts the next one into ``state``, by the names of its own weights.
    """

    layer: KindT
    shape: Shape
    weights: Weights
    network: Weights
    key: jax.Array | None
    state: dict[str, jax.Array] = dataclasses.field(default_factory=dict)

    @property
    def training(self) -> bool:
        return self.key is not None

    def biased(self, y: jax.Array) -> jax.Array:
        """Add the layer's bias to ``y``, if the layer has a bias."""
        return y + self.weights["bias"] if "bias" in self.weights else y


#: A kind of layer as a function of its call and its input.
Apply = Callable[[Call[Any], jax.Array], jax.Array]


def dropped(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Set values of ``x`` to zero at ``rate`` and scale the rest, in a training step."""
    if key is None or not rate:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def _leaky_relu(x: jax.Array) -> jax.Array:
    # At zero jax.nn has slope 1; the contract has the slope of the negative side.
    return jnp.where(x > 0, x, kinds.LEAKY_RELU_SLOPE * x)


def _gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=False)


#: Each function of :data:`harness.layers.ActivationName`.
ACTIVATIONS: dict[kinds.ActivationName, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": _leaky_relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": _gelu,
    "gelu_tanh": jax.nn.gelu,
    "silu": jax.nn.silu,
}


def _conv2d(call: Call[kinds.Conv2D], x: jax.Array) -> jax.Array:
    return _convolved(call, x, ("NHWC", "HWIO", "NHWC"))


def _conv1d(call: Call[kinds.Conv1D], x: jax.Array) -> jax.Array:
    return _convolved(call, x, ("NWC", "WIO", "NWC"))


def _convolved(
    call: Call[kinds.Conv1D] | Call[kinds.Conv2D], x: jax.Array, axes: tuple[str, str, str]
) -> jax.Array:
    layer, lengths = call.layer, call.shape[:-1]
    y = lax.conv_general_dilated(
        x,
        call.weights["kernel"],
        window_strides=(layer.strides,) * len(lengths),
        padding=[layer.same_padding(length) for length in lengths],
        dimension_numbers=axes,
    )
    return call.biased(y)


def _conv_transpose2d(call: Call[kinds.ConvTranspose2D], x: jax.Array) -> jax.Array:
    # "SAME" has the contract's crop, and JAX's kernel is the contract's with both axes reversed.
    kernel, strides = call.weights["kernel"][::-1, ::-1], (call.layer.strides,) * 2
    return call.biased(lax.conv_transpose(x, kernel, strides, "SAME"))


def _dense(call: Call[kinds.Dense], x: jax.Array) -> jax.Array:
    return call.biased(x @ call.weights["kernel"])


def _dropout(call: Call[kinds.Dropout], x: jax.Array) -> jax.Array:
    return dropped(x, call.layer.rate, call.key)


def _activation(call: Call[kinds.Activation], x: jax.Array) -> jax.Array:
    return ACTIVATIONS[call.layer.function](x)


# Layers without parameters that change the size or the shape of their input.


def _max_pool(call: Call[kinds.MaxPool2D], x: jax.Array) -> jax.Array:
    """Compute the maxima of windows by comparing slices.

    The gradient goes to the first of equal values, as the contract requires; ``max`` would divide it among
    them. XLA's reduce_window took twice as long on the CPU.
    """
    size = call.layer.pool_size
    windows = _windows(x, size)
    return functools.reduce(_larger, (windows[:, :, i, :, j] for i in range(size) for j in range(size)))


def _average_pool(call: Call[kinds.AveragePool2D], x: jax.Array) -> jax.Array:
    return _windows(x, call.layer.pool_size).mean(axis=(2, 4))


def _global_average_pool(_: Call, x: jax.Array) -> jax.Array:
    return x.mean(axis=tuple(range(1, x.ndim - 1)))


def _up_sample(call: Call[kinds.UpSample2D], x: jax.Array) -> jax.Array:
    """Repeat each value ``factor`` times in both directions, by a broadcast whose gradient is a sum."""
    samples, height, width, channels = x.shape
    factor = call.layer.factor
    spread = (samples, height, factor, width, factor, channels)
    repeated = jnp.broadcast_to(x[:, :, None, :, None], spread)
    return repeated.reshape(samples, height * factor, width * factor, channels)


def _flatten(call: Call, x: jax.Array) -> jax.Array:
    return x.reshape(len(x), math.prod(call.shape))


def _reshape(call: Call[kinds.Reshape], x: jax.Array) -> jax.Array:
    return x.reshape(len(x), *call.layer.shape)


def _windows(x: jax.Array, size: int) -> jax.Array:
    """Divide ``x`` into ``(samples, rows, size, columns, size, channels)``, without incomplete windows."""
    samples, height, width, channels = x.shape
    rows, columns = height // size, width // size
    whole = x[:, : rows * size, : columns * size]
    return whole.reshape(samples, rows, size, columns, size, channels)


def _larger(first: jax.Array, later: jax.Array) -> jax.Array:
    return jnp.where((later > first) | jnp.isnan(later), later, first)


# Recurrent layers as scans over the steps of a sequence.


def _recurrent(call: Call[kinds.GRU] | Call[kinds.LSTM], x: jax.Array) -> jax.Array:
    """Run ``x (batch, steps, in)`` through each direction; see :class:`harness.layers.GRU`."""
    layer, outputs = call.layer, []
    for way in layer.directions:
        prefix = f"{way}/"
        own = {name.removeprefix(prefix): w for name, w in call.weights.items() if name.startswith(prefix)}
        outputs.append(_direction(layer, own, x, reverse=way == "backward"))
    return jnp.concatenate(outputs, axis=-1)


def _direction(layer: kinds.GRU | kinds.LSTM, weights: Weights, x: jax.Array, *, reverse: bool) -> jax.Array:
    """Map ``x (batch, steps, in)`` to ``(batch, steps, units)``, or to the last step ``(batch, units)``."""
    cell, states = (_gru_cell, 1) if isinstance(layer, kinds.GRU) else (_lstm_cell, 2)

    def advance(state: tuple, inputs: jax.Array) -> tuple[tuple, jax.Array | None]:
        state = cell(weights, state, inputs)
        return state, state[0] if layer.return_sequences else None

    zeros = jnp.zeros((len(x), layer.units), x.dtype)
    projected = x.swapaxes(0, 1) @ weights["kernel"] + weights["bias"]  # (steps, batch, gates * units)
    last, outputs = lax.scan(advance, (zeros,) * states, projected, reverse=reverse)
    return outputs.swapaxes(0, 1) if layer.return_sequences else last[0]


def _gru_cell(weights: Weights, state: tuple[jax.Array], x: jax.Array) -> tuple[jax.Array]:
    """Compute the next ``(h,)``; ``x (batch, 3 * units)`` is the input times the kernel, bias added."""
    (h,) = state
    x_r, x_z, x_n = jnp.split(x, len(kinds.GRU.gates), axis=-1)
    product = h @ weights["recurrent_kernel"] + weights["recurrent_bias"]
    h_r, h_z, h_n = jnp.split(product, len(kinds.GRU.gates), axis=-1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
    return ((1.0 - z) * n + z * h,)


def _lstm_cell(
    weights: Weights, state: tuple[jax.Array, jax.Array], x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute the next ``(h, c)``; ``x (batch, 4 * units)`` is the input times the kernel, bias added."""
    h, c = state
    i, f, g, o = jnp.split(x + h @ weights["recurrent_kernel"], len(kinds.LSTM.gates), axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


#: The kinds of this module, before their ``activation``.
KINDS: dict[type[kinds.Layer], Apply] = {
    kinds.Activation: _activation,
    kinds.AveragePool2D: _average_pool,
    kinds.Conv1D: _conv1d,
    kinds.Conv2D: _conv2d,
    kinds.ConvTranspose2D: _conv_transpose2d,
    kinds.Dense: _dense,
    kinds.Dropout: _dropout,
    kinds.Flatten: _flatten,
    kinds.GRU: _recurrent,
    kinds.GlobalAveragePool: _global_average_pool,
    kinds.LSTM: _recurrent,
    kinds.MaxPool2D: _max_pool,
    kinds.Reshape: _reshape,
    kinds.UpSample2D: _up_sample,
}
