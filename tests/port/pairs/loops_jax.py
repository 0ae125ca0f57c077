"""The same models as pure functions of JAX; ``fault`` names the mistake."""

import jax
import jax.numpy as jnp
from jax import lax, nn
from rewritten_jax import head, linear, raw


def over_time(step, start, x):
    """Scan the steps of x (batch, time, features); return the last state and outputs, batch first."""
    last, outs = lax.scan(step, start, x.swapaxes(0, 1))
    return last, None if outs is None else outs.swapaxes(0, 1)


def minimal_gate(fault=""):
    def run(p, x):
        def step(h, now):
            f = nn.sigmoid(linear(p["forget"], jnp.concatenate([h, now], -1)))
            kept = h if fault == "ungated" else f * h
            new = jnp.tanh(linear(p["candidate"], jnp.concatenate([kept, now], -1)))
            h = f * h + (1 - f) * new if fault == "exchanged" else (1 - f) * h + f * new
            return h, None

        return linear(p["head"], over_time(step, jnp.zeros((len(x), 5)), x)[0])

    return {"forget": head(8, 5), "candidate": head(8, 5), "head": head(5, 2)}, run


def layer_norm(p, x, epsilon=1e-5):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + epsilon) * p["scale"] + p["bias"]


def norm(width):
    return {"scale": 1 + raw(width), "bias": raw(width)}


def normal_gru(fault=""):
    def run(p, x):
        def step(h, now):
            epsilon = 1e-3 if fault == "epsilon" else 1e-5
            of_x = layer_norm(p["norm_x"], now @ p["of_x"], epsilon)
            of_h = layer_norm(p["norm_h"], h @ p["of_h"], epsilon)
            x_r, x_z, x_n = jnp.split(of_x, 3, -1)
            h_r, h_z, h_n = jnp.split(of_h, 3, -1)
            r, z = nn.sigmoid(x_r + h_r), nn.sigmoid(x_z + h_z)
            if fault == "gates":
                r, z = z, r
            h = z * h + (1 - z) * jnp.tanh(x_n + r * h_n)
            return h, h

        return linear(p["head"], over_time(step, jnp.zeros((len(x), 5)), x)[1])

    parts = {"of_x": raw(3, 15), "of_h": raw(5, 15), "norm_x": norm(15), "norm_h": norm(15)}
    return {**parts, "head": head(5, 2)}, run


def leaky(fault=""):
    leak = 0.7 if fault == "leak" else 0.3

    def run(p, x):
        def step(h, now):
            inside = now @ p["in"]["kernel"] + p["in"]["bias"] + h @ p["echo"]
            new = nn.relu(inside) if fault == "activation" else jnp.tanh(inside)
            h = (1 - leak) * h + leak * new
            return h, h

        _, states = over_time(step, jnp.zeros((len(x), 6)), x)
        return linear(p["head"], jnp.concatenate([x, states], -1))

    return {"in": head(3, 6), "echo": raw(6, 6), "head": head(9, 2)}, run


def state_space(fault=""):
    """All steps at once, by an associative scan."""

    def run(p, x):
        u = linear(p["in"], x)
        rate, step = -jnp.exp(p["log_rate"]), nn.softplus(p["step"])
        keep = jnp.exp(rate * step)
        gain = step * p["b"] if fault == "euler" else (keep - 1) / rate * p["b"]

        def join(one, other):
            return one[0] * other[0], one[1] * other[0] + other[1]

        _, h = lax.associative_scan(join, (jnp.broadcast_to(keep, u.shape), gain * u), axis=1)
        y = h * p["c"]
        y = y if fault == "skip" else y + p["skip"] * u
        return linear(p["head"], nn.gelu(y, approximate=False))

    raws = {name: raw(6) for name in ("log_rate", "step", "b", "c", "skip")}
    return {"in": head(3, 6), "head": head(6, 2), **raws}, run


def state_space_steps(fault=""):
    """A scan of one sample, vectorised over the batch."""

    def run(p, x):
        u = linear(p["in"], x)
        rate, step = -jnp.exp(p["log_rate"]), nn.softplus(p["step"])
        keep = jnp.exp(rate * step)
        gain = (keep - 1) / rate * p["b"]

        def one(u):
            def step(h, now):
                before = h
                h = keep * h + gain * now
                return h, (before if fault == "late" else h) * p["c"] + p["skip"] * now

            return lax.scan(step, jnp.zeros(6), u)[1]

        return linear(p["head"], nn.gelu(jax.vmap(one)(u), approximate=fault == "gelu"))

    raws = {name: raw(6) for name in ("log_rate", "step", "b", "c", "skip")}
    return {"in": head(3, 6), "head": head(6, 2), **raws}, run


def runge_kutta(fault=""):
    def run(p, x):
        def field(y):
            return linear(p["two"], jnp.tanh(linear(p["one"], y)))

        h = 0.25

        def step(_, y):
            k1 = field(y)
            k2 = field(y + (h if fault == "whole step" else h / 2) * k1)
            k3 = field(y + h / 2 * k2)
            k4 = field(y + h * k3)
            k3 = k3 if fault == "weight" else 2 * k3
            return y + h / 6 * (k1 + 2 * k2 + k3 + k4)

        return linear(p["head"], lax.fori_loop(0, 4, step, linear(p["lift"], x)))

    return {"lift": head(4, 6), "one": head(6, 8), "two": head(8, 6), "head": head(6, 2)}, run


def recursive_filter(fault=""):
    """A scan of one channel of one sample, vectorised twice."""

    def one(b0, b1, a1, a2, u):
        def step(state, now):
            y1, y2, u1 = state
            sign = -1.0 if fault == "sign" else 1.0
            out = b0 * now + b1 * u1 - a1 * y1 - sign * a2 * y2
            return (out, y1, u1 if fault == "stale" else now), out

        zero = jnp.zeros((), u.dtype)
        return lax.scan(step, (zero, zero, zero), u)[1]

    def run(p, x):
        filtered = jax.vmap(jax.vmap(one, (0, 0, 0, 0, 1), 1), (None,) * 4 + (0,))
        y = filtered(p["b0"], p["b1"], p["a1"], p["a2"], linear(p["in"], x))
        return linear(p["head"], nn.relu(y))

    return {"in": head(3, 5), "head": head(5, 2), **{name: raw(5) for name in ("b0", "b1", "a1", "a2")}}, run


def coverage(fault=""):
    def run(p, x):
        keys = linear(p["key"], x)

        def cell(context, h):
            r, z, n = jnp.split(context @ p["cell_x"] + p["cell_bx"], 3, -1)
            h_r, h_z, h_n = jnp.split(h @ p["cell_h"] + p["cell_bh"], 3, -1)
            r, z = nn.sigmoid(r + h_r), nn.sigmoid(z + h_z)
            n = jnp.tanh(n + r * h_n)
            return (1 - z) * n + z * h

        def step(state, _):
            h, seen = state
            before = 0.0 if fault == "forgotten" else seen[..., None] * p["again"]
            scores = (jnp.tanh(keys + (h @ p["query"])[:, None] + before) @ p["score"])[..., 0]
            shares = nn.softmax(scores, 0 if fault == "axis" else -1)
            context = jnp.einsum("bt,btf->bf", shares, x)
            h = cell(context, h)
            seen = jnp.maximum(seen, shares) if fault == "largest" else seen + shares
            return (h, seen), linear(p["head"], jnp.concatenate([h, context], -1))

        start = jnp.tanh(linear(p["start"], x.mean(1))), jnp.zeros(x.shape[:2])
        return lax.scan(step, start, None, length=3)[1].swapaxes(0, 1)

    parts = {"key": head(4, 6), "query": raw(5, 6), "score": raw(6, 1), "again": raw(6), "start": head(4, 5)}
    cell = {"cell_x": raw(4, 15), "cell_h": raw(5, 15), "cell_bx": raw(15), "cell_bh": raw(15)}
    return {**parts, **cell, "head": head(9, 2)}, run


def equilibrium(fault=""):
    """A loop that ends by a counter."""

    def run(p, x):
        u = linear(p["in"], x)

        def step(state):
            n, z = state
            inner = z @ p["back"] + u
            new = (
                layer_norm(p["norm"], jnp.tanh(inner))
                if fault == "order"
                else jnp.tanh(layer_norm(p["norm"], inner))
            )
            return n + 1, 0.5 * z + 0.5 * new

        count = 5 if fault == "count" else 6
        _, z = lax.while_loop(lambda state: state[0] < count, step, (0, jnp.zeros((len(x), 5))))
        return linear(p["head"], z)

    return {"in": head(4, 5), "back": raw(5, 5), "norm": norm(5), "head": head(5, 2)}, run


def stacked(fault=""):
    """A scan over layers, whose arrays are stacked."""

    def run(p, x):
        def layer(y, q):
            n, part = q
            inner = layer_norm(part["norm"], y, 1e-5 if fault == "epsilon" else 1e-6)
            inner = inner @ part["up"]["kernel"] + part["up"]["bias"]
            inner = (
                jnp.where(n == 1, nn.gelu(inner), nn.silu(inner))
                if fault == "second layer"
                else nn.silu(inner)
            )
            return y + inner @ part["down"]["kernel"] + part["down"]["bias"], None

        y, _ = lax.scan(layer, linear(p["in"], x), (jnp.arange(3), p["layers"]))
        return linear(p["head"], y)

    def stack(make):
        return jax.tree.map(lambda *each: jnp.stack(each), *(make() for _ in range(3)))

    layers = stack(lambda: {"norm": norm(4), "up": head(4, 6), "down": head(6, 4)})
    return {"in": head(3, 4), "layers": layers, "head": head(4, 2)}, run


def fused_gru(fault=""):
    """The steps of the fused layer as a scan."""

    def run(p, x):
        def step(h, now):
            x_r, x_z, x_n = jnp.split(now @ p["w"] + p["b"], 3, -1)
            if fault == "reset first":
                h_r, h_z = jnp.split(h @ p["u"][:, :10] + p["c"][:10], 2, -1)
            else:
                h_r, h_z, h_n = jnp.split(h @ p["u"] + p["c"], 3, -1)
            r, z = nn.sigmoid(x_r + h_r), nn.sigmoid(x_z + h_z)
            if fault == "reset first":
                n = jnp.tanh(x_n + (r * h) @ p["u"][:, 10:] + p["c"][10:])
            else:
                n = jnp.tanh(x_n + r * h_n)
            h = (1 - z) * h + z * n if fault == "update" else (1 - z) * n + z * h
            return h, h

        return linear(p["head"], over_time(step, jnp.zeros((len(x), 5)), x)[1])

    return {"w": raw(3, 15), "u": raw(5, 15), "b": raw(15), "c": raw(15), "head": head(5, 2)}, run


def fused_lstm(fault=""):
    def run(p, x):
        def layer(part, x):
            def step(state, now):
                h, c = state
                i, f, g, o = jnp.split(now @ part["w"] + h @ part["u"] + part["b"], 4, -1)
                f = f + 1.0 if fault == "forget bias" else f
                c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
                h = nn.sigmoid(o) * (c if fault == "no tanh" else jnp.tanh(c))
                return (h, c), h

            zeros = jnp.zeros((len(x), 5))
            return over_time(step, (zeros, zeros), x)[1]

        y = layer(p["two"], layer(p["one"], x))
        return linear(p["head"], y[:, 0] if fault == "first" else y[:, -1])

    def part(inputs):
        return {"w": raw(inputs, 20), "u": raw(5, 20), "b": raw(20)}

    return {"one": part(3), "two": part(5), "head": head(5, 2)}, run


def per_sample(fault=""):
    """Attention of one query of one sample, vectorised."""

    def run(p, x):
        def one(x):
            q, k, v = (linear(p[name], x) for name in ("query", "key", "value"))

            def attend(query):
                return nn.softmax(k @ query / (4 if fault == "scale" else 2)) @ v

            return jnp.tanh(jax.vmap(attend)(q)) + x

        return linear(p["head"], jax.vmap(one)(x))

    return {name: head(4, 4) for name in ("query", "key", "value")} | {"head": head(4, 2)}, run
