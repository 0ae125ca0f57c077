"""Tasks as an expert writes them by hand in JAX: pure functions, and a call of a compiled step for each step.

Nothing of the harness is used. Weights are canonical arrays by layer, which is JAX's own layout.
"""

import functools
import time
from collections.abc import Mapping

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp


def _dense(w, x):
    return x @ w["kernel"] + w["bias"]


def _conv(w, x):
    axes = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w["kernel"], (1, 1), "VALID", dimension_numbers=axes) + w["bias"]


def _pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _gru(w, x, *, reverse=False):
    def cell(h, projected):
        r, z, n = jnp.split(projected, 3, -1)
        h_r, h_z, h_n = jnp.split(h @ w["recurrent_kernel"] + w["recurrent_bias"], 3, -1)
        z = jax.nn.sigmoid(z + h_z)
        h = (1 - z) * jnp.tanh(n + jax.nn.sigmoid(r + h_r) * h_n) + z * h
        return h, h

    projected = x.swapaxes(0, 1) @ w["kernel"] + w["bias"]
    return lax.scan(cell, jnp.zeros((len(x), 6)), projected, reverse=reverse)[1].swapaxes(0, 1)


def cnn(w, x):
    x = _pool(jax.nn.relu(_conv(w["conv2d_1"], x)))
    x = _pool(jax.nn.relu(_conv(w["conv2d_2"], x)))
    return _dense(w["dense_2"], jax.nn.relu(_dense(w["dense_1"], x.reshape(len(x), -1))))


def mlp(w, x):
    x = jax.nn.relu(_dense(w["dense_1"], x.reshape(len(x), -1)))
    return _dense(w["dense_3"], jax.nn.relu(_dense(w["dense_2"], x)))


def rnn(w, x):
    both = [_gru(w["gru_1"]["forward"], x), _gru(w["gru_1"]["backward"], x, reverse=True)]
    return _dense(w["dense_1"], jnp.concatenate(both, -1).reshape(len(x), -1))


def _sgd(w, gradients, moments, step):
    return jax.tree.map(lambda p, g: p - 0.01 * g, w, gradients), moments


def _adam(w, gradients, moments, step):
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients)
    one, two = 1 - 0.9**step, 1 - 0.999**step
    w = jax.tree.map(lambda p, m, v: p - 0.01 * (m / one) / (jnp.sqrt(v / two) + 1e-7), w, m, v)
    return w, (m, v)


def _cross_entropy(logits, targets):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], 1).mean()


def _nested(weights: Mapping[str, np.ndarray]) -> dict:
    nested: dict = {}
    for name, array in weights.items():
        *path, last = name.split("/")
        place = functools.reduce(lambda node, key: node.setdefault(key, {}), path, nested)
        place[last] = jnp.asarray(array, jnp.float32)
    return nested


class Loop:
    """A training in progress."""

    def __init__(
        self, task: str, inputs: np.ndarray, targets: np.ndarray, weights: Mapping[str, np.ndarray]
    ) -> None:
        """Take canonical inputs ``(n, *input)``, targets and weights by their names."""
        w = _nested(weights)["model"]
        # Two of each, for a buffer that is donated can be given once only.
        moments = () if task == "cnn" else tuple(jax.tree.map(jnp.zeros_like, w) for _ in range(2))
        network, update = {"cnn": (cnn, _sgd), "mlp": (mlp, _adam), "rnn": (rnn, _adam)}[task]
        self._state = (w, moments, jnp.float32(1))
        self._data = (jnp.asarray(inputs), jnp.asarray(targets))
        self._step = jax.jit(functools.partial(_step, network, update), donate_argnums=0)

    def block(self, indices: np.ndarray) -> tuple[float, float]:
        """Seconds of steps ``(steps, batch)``, and their mean loss."""
        start = time.perf_counter()
        losses = []
        for batch in indices.astype(np.int32):
            self._state, loss = self._step(self._state, self._data, batch)
            losses.append(loss)
        mean = float(jnp.stack(losses).mean())
        jax.block_until_ready(self._state)
        return time.perf_counter() - start, mean


def _step(network, update, state, data, rows):
    w, moments, step = state
    x, y = data[0][rows], data[1][rows]
    loss, gradients = jax.value_and_grad(lambda w: _cross_entropy(network(w, x), y))(w)
    w, moments = update(w, gradients, moments, step)
    return (w, moments, step + 1), loss
