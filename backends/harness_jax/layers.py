"""Each kind of layer as a pure function of its parameters and inputs, and a network as their composition.

Canonical layout is JAX's own, so parameters and pictures are never rearranged.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import jax
from jax import lax
from jax import numpy as jnp

from harness.layers import (
    GRU,
    LEAKY_RELU_SLOPE,
    LSTM,
    ActivationName,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    Reshape,
)
from harness.network import Network, PlacedLayer
from harness_jax.convolutions import Convolutions

#: The parameters of a network or of a part of it, by their names there.
Parameters = Mapping[str, jax.Array]


class Forward(Protocol):
    """Maps parameters, inputs and the random key of a training step (None: evaluation) to outputs."""

    def __call__(self, parameters: Parameters, x: jax.Array, key: jax.Array | None = ...) -> jax.Array: ...


def _leaky_relu(x: jax.Array) -> jax.Array:
    # At zero jax.nn has slope 1; the contract has the slope of the negative side.
    return jnp.where(x > 0, x, LEAKY_RELU_SLOPE * x)


_ACTIVATIONS: dict[ActivationName, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": _leaky_relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
}


def _larger(first: jax.Array, later: jax.Array) -> jax.Array:
    return jnp.where((later > first) | jnp.isnan(later), later, first)


def _max_pool(x: jax.Array, size: int) -> jax.Array:
    """The maxima of windows, by comparing slices.

    The gradient goes to the first of equal values, as the contract requires; ``max`` would divide it among
    them. XLA's reduce_window took twice as long on the CPU.
    """
    samples, height, width, channels = x.shape
    rows, columns = height // size, width // size
    windows = x[:, : rows * size, : columns * size].reshape(samples, rows, size, columns, size, channels)
    return functools.reduce(_larger, (windows[:, :, i, :, j] for i in range(size) for j in range(size)))


def _dropout(x: jax.Array, rate: float, key: jax.Array) -> jax.Array:
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def _gru_cell(parameters: Parameters, state: tuple[jax.Array], x: jax.Array) -> tuple[jax.Array]:
    """The next ``(h,)``; ``x (batch, 3 * units)`` is the input's product with the kernel, bias added."""
    (h,) = state
    x_r, x_z, x_n = jnp.split(x, len(GRU.gates), axis=-1)
    product = h @ parameters["recurrent_kernel"] + parameters["recurrent_bias"]
    h_r, h_z, h_n = jnp.split(product, len(GRU.gates), axis=-1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
    return ((1.0 - z) * n + z * h,)


def _lstm_cell(
    parameters: Parameters, state: tuple[jax.Array, jax.Array], x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The next ``(h, c)``; ``x (batch, 4 * units)`` is the input's product with the kernel, bias added."""
    h, c = state
    i, f, g, o = jnp.split(x + h @ parameters["recurrent_kernel"], len(LSTM.gates), axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _direction(layer: GRU | LSTM, parameters: Parameters, x: jax.Array, *, reverse: bool) -> jax.Array:
    """``x (batch, steps, in)`` to ``(batch, steps, units)``, or to the last step ``(batch, units)``."""
    cell, states = (_gru_cell, 1) if isinstance(layer, GRU) else (_lstm_cell, 2)

    def advance(state: tuple, inputs: jax.Array) -> tuple[tuple, jax.Array | None]:
        state = cell(parameters, state, inputs)
        return state, state[0] if layer.return_sequences else None

    zeros = jnp.zeros((len(x), layer.units), x.dtype)
    projected = x.swapaxes(0, 1) @ parameters["kernel"] + parameters["bias"]  # (steps, batch, gates * units)
    last, outputs = lax.scan(advance, (zeros,) * states, projected, reverse=reverse)
    return outputs.swapaxes(0, 1) if layer.return_sequences else last[0]


def _recurrent(layer: GRU | LSTM, parameters: Parameters, x: jax.Array) -> jax.Array:
    outputs = [
        _direction(layer, _of(way, parameters), x, reverse=way == "backward") for way in layer.directions
    ]
    return jnp.concatenate(outputs, axis=-1)


def _of(part: str, parameters: Parameters) -> dict[str, jax.Array]:
    """The parameters whose names begin with ``part/``, by the rest of their names."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): p for name, p in parameters.items() if name.startswith(prefix)}


def _apply(
    place: PlacedLayer,
    convolutions: Convolutions,
    parameters: Parameters,
    x: jax.Array,
    key: jax.Array | None,
) -> jax.Array:
    match place.layer:
        case Conv2D() as layer:
            y = convolutions.convolve(layer, place.input_shape, x, parameters["kernel"]) + parameters["bias"]
        case ConvTranspose2D() as layer:
            y = convolutions.transposed(layer, x, parameters["kernel"]) + parameters["bias"]
        case MaxPool2D(pool_size):
            y = _max_pool(x, pool_size)
        case Flatten():
            y = x.reshape(len(x), -1)
        case Reshape(shape):
            y = x.reshape(len(x), *shape)
        case Dense():
            y = x @ parameters["kernel"] + parameters["bias"]
        case Dropout(rate):
            y = x if key is None or not rate else _dropout(x, rate, key)
        case GRU() | LSTM() as layer:
            y = _recurrent(layer, parameters, x)
    activation: ActivationName | None = getattr(place.layer, "activation", None)
    return y if activation is None else _ACTIVATIONS[activation](y)


def forward_of(network: Network, convolutions: Convolutions, *, bfloat16: bool) -> Forward:
    """The network as a function; with ``bfloat16`` it computes in that, from and to float32."""
    places = network.placed()

    def forward(parameters: Parameters, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        if bfloat16:
            parameters, x = jax.tree.map(lambda array: array.astype(jnp.bfloat16), (parameters, x))
        for number, place in enumerate(places):
            layer_key = None if key is None else jax.random.fold_in(key, number)
            x = _apply(place, convolutions, _of(place.name, parameters), x, layer_key)
        return x.astype(jnp.float32) if bfloat16 else x

    return forward
