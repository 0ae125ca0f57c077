"""Recurrent layers as scans over the steps of a sequence."""

import jax
from jax import lax
from jax import numpy as jnp

from harness.layers import GRU, LSTM
from harness_jax.calls import Call, Weights


def recurrent(call: Call[GRU] | Call[LSTM], x: jax.Array) -> jax.Array:
    """``x (batch, steps, in)`` through each direction; see :class:`harness.layers.GRU`."""
    layer, outputs = call.layer, []
    for way in layer.directions:
        prefix = f"{way}/"
        own = {name.removeprefix(prefix): w for name, w in call.weights.items() if name.startswith(prefix)}
        outputs.append(_direction(layer, own, x, reverse=way == "backward"))
    return jnp.concatenate(outputs, axis=-1)


def _direction(layer: GRU | LSTM, weights: Weights, x: jax.Array, *, reverse: bool) -> jax.Array:
    """``x (batch, steps, in)`` to ``(batch, steps, units)``, or to the last step ``(batch, units)``."""
    cell, states = (_gru_cell, 1) if isinstance(layer, GRU) else (_lstm_cell, 2)

    def advance(state: tuple, inputs: jax.Array) -> tuple[tuple, jax.Array | None]:
        state = cell(weights, state, inputs)
        return state, state[0] if layer.return_sequences else None

    zeros = jnp.zeros((len(x), layer.units), x.dtype)
    projected = x.swapaxes(0, 1) @ weights["kernel"] + weights["bias"]  # (steps, batch, gates * units)
    last, outputs = lax.scan(advance, (zeros,) * states, projected, reverse=reverse)
    return outputs.swapaxes(0, 1) if layer.return_sequences else last[0]


def _gru_cell(weights: Weights, state: tuple[jax.Array], x: jax.Array) -> tuple[jax.Array]:
    """The next ``(h,)``; ``x (batch, 3 * units)`` is the input's product with the kernel, bias added."""
    (h,) = state
    x_r, x_z, x_n = jnp.split(x, len(GRU.gates), axis=-1)
    product = h @ weights["recurrent_kernel"] + weights["recurrent_bias"]
    h_r, h_z, h_n = jnp.split(product, len(GRU.gates), axis=-1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
    return ((1.0 - z) * n + z * h,)


def _lstm_cell(
    weights: Weights, state: tuple[jax.Array, jax.Array], x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The next ``(h, c)``; ``x (batch, 4 * units)`` is the input's product with the kernel, bias added."""
    h, c = state
    i, f, g, o = jnp.split(x + h @ weights["recurrent_kernel"], len(LSTM.gates), axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c
