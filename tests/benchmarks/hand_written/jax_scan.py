"""Tasks as an expert writes them by hand in JAX: pure functions, a block of steps in one ``lax.scan``.

On pictures a call a step instead: within a loop XLA's CPU compiler (jax 0.10) runs gradients of
convolutions in naive code, ten times slower. Nothing of the harness is used. Weights are canonical
arrays by layer, which is JAX's own layout.
"""

import functools
import itertools
import time
from collections.abc import Mapping

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

RATES = {"cnn": 0.01, "mlp": 0.01, "rnn": 0.01, "forecast": 2e-3, "gan": 1e-3}


def _dense(w, x):
    return x @ w["kernel"] + w["bias"]


def _conv(w, x, strides=1, padding="VALID"):
    axes = ("NHWC", "HWIO", "NHWC")
    return (
        lax.conv_general_dilated(x, w["kernel"], (strides,) * 2, padding, dimension_numbers=axes) + w["bias"]
    )


def _conv_transpose(w, x):
    axes = ("NHWC", "HWIO", "NHWC")
    return lax.conv_transpose(x, w["kernel"][::-1, ::-1], (2, 2), "SAME", dimension_numbers=axes) + w["bias"]


def _pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _leaky(x):
    return jnp.where(x > 0, x, 0.2 * x)


def _gru(w, x, *, reverse=False):
    def cell(h, projected):
        r, z, n = jnp.split(projected, 3, -1)
        h_r, h_z, h_n = jnp.split(h @ w["recurrent_kernel"] + w["recurrent_bias"], 3, -1)
        z = jax.nn.sigmoid(z + h_z)
        h = (1 - z) * jnp.tanh(n + jax.nn.sigmoid(r + h_r) * h_n) + z * h
        return h, h

    projected = x.swapaxes(0, 1) @ w["kernel"] + w["bias"]
    return lax.scan(cell, jnp.zeros((len(x), 6)), projected, reverse=reverse)[1].swapaxes(0, 1)


def _lstm(w, x):
    def cell(state, projected):
        h, c = state
        i, f, g, o = jnp.split(projected + h @ w["recurrent_kernel"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((len(x), 32))
    return lax.scan(cell, (zeros, zeros), x.swapaxes(0, 1) @ w["kernel"] + w["bias"])[0][0]


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


def forecast(w, x):
    return _dense(w["dense_1"], _lstm(w["lstm_1"]["forward"], x))


def generator(w, z):
    x = _dense(w["dense_1"], z).reshape(-1, 4, 4, 128)
    x = _leaky(_conv_transpose(w["conv_transpose2d_1"], x))
    x = _leaky(_conv_transpose(w["conv_transpose2d_2"], x))
    x = jax.nn.relu(_conv_transpose(w["conv_transpose2d_3"], x))
    return jax.nn.sigmoid(_conv(w["conv2d_1"], x, padding="SAME"))


def discriminator(w, x):
    for layer in ("conv2d_1", "conv2d_2", "conv2d_3"):
        x = _leaky(_conv(w[layer], x, 2, "SAME"))
    return _dense(w["dense_1"], x.reshape(len(x), -1))


def _sgd(rate, w, gradients, moments, step):
    return jax.tree.map(lambda p, g: p - rate * g, w, gradients), moments


def _adam(rate, beta_1, w, gradients, moments, step):
    m = jax.tree.map(lambda m, g: beta_1 * m + (1 - beta_1) * g, moments[0], gradients)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients)
    one, two = 1 - beta_1**step, 1 - 0.999**step
    w = jax.tree.map(lambda p, m, v: p - rate * (m / one) / (jnp.sqrt(v / two) + 1e-7), w, m, v)
    return w, (m, v)


def _cross_entropy(logits, targets):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], 1).mean()


def _squared_error(outputs, targets):
    return jnp.square(outputs - targets).mean()


def _supervised_step(task, update, w, moments, step, x, y):
    network = {"cnn": cnn, "mlp": mlp, "rnn": rnn, "forecast": forecast}[task]
    loss_of = _squared_error if task == "forecast" else _cross_entropy
    loss, gradients = jax.value_and_grad(lambda w: loss_of(network(w["model"], x), y))(w)
    w, moments = update(w, gradients, moments, step)
    return w, moments, loss


def _adversarial_step(update, w, moments, step, x, z):
    real, fake = lambda logits: jax.nn.softplus(-logits).mean(), lambda logits: jax.nn.softplus(logits).mean()
    g, d = w["generator"], w["discriminator"]
    fakes, back = jax.vjp(lambda g: generator(g, z), g)
    gradients = jax.grad(lambda d: (real(discriminator(d, x)) + fake(discriminator(d, fakes))) / 2)(d)
    d, of_d = update(d, gradients, moments["discriminator"], step)
    loss, to_fakes = jax.value_and_grad(lambda fakes: real(discriminator(d, fakes)))(fakes)
    g, of_g = update(g, back(to_fakes)[0], moments["generator"], step)
    return {"generator": g, "discriminator": d}, {"generator": of_g, "discriminator": of_d}, loss


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
        w = _nested(weights)
        if task == "cnn":
            update, moments = functools.partial(_sgd, RATES[task]), ()
        else:
            update = functools.partial(_adam, RATES[task], 0.5 if task == "gan" else 0.9)
            # Two of each, for a buffer that is donated can be given once only.
            m, v = (jax.tree.map(jnp.zeros_like, w) for _ in range(2))
            moments = {n: (m[n], v[n]) for n in w} if task == "gan" else (m, v)
        take = _adversarial_step if task == "gan" else functools.partial(_supervised_step, task)
        self._state = (w, moments, jnp.float32(1))
        self._data = (jnp.asarray(inputs), jnp.asarray(targets))
        self._one_by_one = inputs.ndim == 4
        form = _single if self._one_by_one else _scan
        self._run = jax.jit(functools.partial(form, functools.partial(take, update)), donate_argnums=0)

    def block(self, indices: np.ndarray, latents: np.ndarray | None) -> tuple[float, float]:
        """Seconds of steps ``(steps, batch)``, and their mean loss (the generator's)."""
        start = time.perf_counter()
        rows = indices.astype(np.int32)
        if self._one_by_one:
            losses = []
            for z, batch in zip(itertools.repeat(None) if latents is None else latents, rows, strict=False):
                self._state, loss = self._run(self._state, self._data, batch, z)
                losses.append(loss)
            mean = float(jnp.stack(losses).mean())
        else:
            self._state, of_scan = self._run(self._state, self._data, rows, latents)
            mean = float(of_scan.mean())
        jax.block_until_ready(self._state)
        return time.perf_counter() - start, mean


def _single(take, state, data, rows, z):
    w, moments, step = state
    second = data[1][rows] if z is None else z
    w, moments, loss = take(w, moments, step, data[0][rows], second)
    return (w, moments, step + 1), loss


def _scan(take, state, data, indices, latents):
    def body(state, of_step):
        return _single(take, state, data, *of_step)

    return lax.scan(body, state, (indices, latents))
