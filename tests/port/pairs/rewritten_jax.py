"""The same models as pure functions of JAX, written as loops become scans; ``fault`` names the mistake."""

import jax.numpy as jnp
import numpy as np
from jax import lax, nn

RNG = np.random.default_rng(3)


def raw(*shape, scale=0.3):
    return jnp.asarray(scale * RNG.standard_normal(shape))


def head(inputs, outputs):
    return {"kernel": raw(inputs, outputs), "bias": raw(outputs)}


def linear(p, x):
    return x @ p["kernel"] + p["bias"]


def lstm_loop(fault=""):
    """A scan with an array for each gate, and one bias."""

    def run(p, x):
        def step(state, now):
            h, c = state
            i, f, g, o = (now @ p[n]["w"] + h @ p[n]["u"] + p[n]["b"] for n in ("in", "forget", "new", "out"))
            g = nn.sigmoid(g) if fault == "activation" else jnp.tanh(g)
            c = nn.sigmoid(f + (1.0 if fault == "forget bias" else 0.0)) * c + nn.sigmoid(i) * g
            h = nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((len(x), 5))
        (h, _), _ = lax.scan(step, (zeros, zeros), x.swapaxes(0, 1))
        return linear(p["head"], h)

    gates = {n: {"w": raw(3, 5), "u": raw(5, 5), "b": raw(5)} for n in ("in", "forget", "new", "out")}
    return {"head": head(5, 3), **gates}, run


def echo(fault=""):
    """Two scans of cells with one bias."""

    def step(p, x, h):
        return jnp.tanh(x @ p["w"] + h @ p["u"] + p["b"])

    def run(p, x):
        h, _ = lax.scan(
            lambda h, now: (step(p["cell_1"], now, h), None), jnp.zeros((len(x), 4)), x.swapaxes(0, 1)
        )

        def write(state, _):
            y, h = state
            h = step(p["cell_2"], y, h)
            y = linear(p["head"], h)
            return (y, h), y

        start = jnp.zeros_like(x[:, -1]) if fault == "start" else x[:, -1]
        _, out = lax.scan(write, (start, h), None, length=3)
        return out.swapaxes(0, 1)

    cells = {f"cell_{n}": {"w": raw(4, 4), "u": raw(4, 4), "b": raw(4)} for n in (1, 2)}
    return {**cells, "head": head(4, 4)}, run


def causal_filter(fault=""):
    """Windows as an axis, and a matrix of all their numbers."""

    def run(p, x):
        padded = jnp.pad(x, ((0, 0), (1, 1) if fault == "centred" else (2, 0), (0, 0)))
        windows = jnp.stack([padded[:, k : k + x.shape[1]] for k in range(3)], 2)
        y = windows.reshape(*x.shape[:2], -1) @ p["filter"] + p["shift"]
        return linear(p["head"], nn.relu(y) + x)

    return {"filter": raw(12, 4), "shift": raw(4), "head": head(4, 3)}, run


def packed_heads(fault=""):
    """Three projections."""

    def run(p, x):
        batch, length, _ = x.shape
        q, k, v = ((x @ p[n]).reshape(batch, length, 2, 4).swapaxes(1, 2) for n in ("query", "key", "value"))
        scale = 1 / 8**0.5 if fault == "scale" else 0.5
        weights = nn.softmax(scale * q @ k.swapaxes(-1, -2), -1)
        joined = (weights @ v).swapaxes(1, 2).reshape(batch, length, 8)
        return linear(p["head"], joined @ p["out"])

    return {n: raw(8, 8) for n in ("query", "key", "value", "out")} | {"head": head(8, 3)}, run


def retrieval(fault=""):
    """Cosines of transposed items."""

    def unit(x, axis):
        return x / jnp.linalg.norm(x, axis=axis, keepdims=True)

    def run(p, x):
        query = jnp.tanh(linear(p["tower"], x))
        query = query if fault == "query" else unit(query, -1)
        return p["temperature"] * query @ unit(p["projection"] @ p["table"], 0)

    parts = {"projection": raw(6, 6), "table": raw(6, 9), "temperature": jnp.ones(())}
    return {"tower": head(6, 6), **parts}, run


def folded(fault=""):
    """The normalised weights of the other side, folded into one matrix."""

    def numbers(name, *shape):
        made = np.sin(np.arange(np.prod(shape), dtype=np.float64) + len(name)).reshape(shape)
        return made.astype(np.float32).astype(np.float64)

    def run(p, x):
        h = linear(p["dense"], x)
        return linear(p["head"], nn.gelu(h) if fault == "activation" else nn.relu(h))

    v, g = numbers("v", 5, 4), numbers("g", 5, 1)
    kernel = (g * v / np.linalg.norm(v, axis=1, keepdims=True)).T
    last = {"kernel": numbers("head.weight", 3, 5).T, "bias": numbers("head.bias", 3)}
    return {"dense": {"kernel": kernel, "bias": numbers("bias", 5)}, "head": last}, run
