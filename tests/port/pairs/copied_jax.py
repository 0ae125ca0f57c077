"""The same models as functions of JAX, with the same numbers unless ``copied`` is false.

``fault`` names the mistake; most exchange arrays, so that the port is right for other numbers.
"""

import jax.numpy as jnp
import numpy as np
from copied_torch import numbers
from jax import lax, nn

EXCHANGED = np.array([1, 0, 2])


def maker(copied):
    """Return a function of a place and a shape that makes an array."""
    return lambda place, *shape: jnp.asarray(numbers(place + (0 if copied else 50), *shape))


def chain(fault="", copied=True):
    def run(p, x):
        one, two = ("two", "one") if fault == "layers" else ("one", "two")
        x = jnp.tanh(linear(p[two], nn.relu(linear(p[one], x))))
        return linear(p["head"], x)

    def linear(p, x):
        return x @ p["kernel"] + p["bias"]

    raw, shapes = maker(copied), {"one": (5, 5), "two": (5, 5), "head": (3, 5)}
    return {
        name: {"kernel": raw(2 * place, *shape).T, "bias": raw(2 * place + 1, shape[0])}
        for place, (name, shape) in enumerate(shapes.items())
    }, run


def attention(fault="", copied=True):
    def run(p, x):
        query, key, value = (x @ p[name] for name in ("query", "key", "value"))
        if fault == "projections":
            query, key = key, query
        key = {"another": value, "tied": query}.get(fault, key)
        return nn.softmax(query @ key.swapaxes(-1, -2), -1) @ value @ p["head"]

    raw = maker(copied)
    parts = {name: raw(place, 6, 6) for place, name in enumerate(("query", "key", "value"))}
    return {**parts, "head": raw(3, 6, 3)}, run


def echo(fault="", copied=True):
    """One bias, which is the sum of both."""
    other = {"encoder": "decoder", "decoder": "encoder"}

    def step(p, part, x, h):
        bias = {"biases": other[part], "one bias": "encoder"}.get(fault, part)
        second = other[part] if fault == "recurrent" else part
        return jnp.tanh(x @ p[f"{part}_w"] + h @ p[f"{second}_u"] + p[f"{bias}_b"])

    def run(p, x):
        h = jnp.zeros((len(x), 4))
        for t in range(x.shape[1]):
            h = step(p, "encoder", x[:, t], h)
        y = x[:, -1]
        for _ in range(2):
            h = step(p, "decoder", y, h)
            y = h @ p["head"]
        return y

    raw, parts = maker(copied), {}
    for first, part in ((0, "encoder"), (10, "decoder")):
        parts[f"{part}_w"], parts[f"{part}_u"] = raw(first, 4, 4), raw(first + 1, 4, 4)
        parts[f"{part}_b"] = raw(first + 2, 4) + (0.0 if fault == "bias lost" else raw(first + 3, 4))
    return {**parts, "head": raw(30, 4, 4)}, run


def experts(fault="", copied=True):
    """Stacked experts."""

    def run(p, x):
        up = p["up"][EXCHANGED] if fault == "experts" else p["up"]
        down = p["down"][EXCHANGED] if fault in {"experts", "halves"} else p["down"]
        made = nn.relu(jnp.einsum("bi,eio->beo", x, up))
        return jnp.einsum("beo,eoc,be->bc", made, down, nn.softmax(x @ p["router"], -1))

    raw = maker(copied)
    up, down = (
        jnp.stack([raw(first + n, *shape) for n in range(3)]) for first, shape in ((1, (6, 5)), (5, (5, 4)))
    )
    return {"router": raw(0, 6, 3), "up": up, "down": down}, run


def gates(fault="", copied=True):
    """Packed gates."""

    def run(p, x):
        w, u, b = ([p[name][..., start : start + 5] for start in (0, 5, 10)] for name in "wub")
        update, reset = (1, 0) if fault == "gates" else (0, 1)
        own = (1, 0) if fault == "recurrent" else (update, reset)

        def step(h, now):
            z = nn.sigmoid(now @ w[update] + h @ u[own[0]] + b[update])
            r = nn.sigmoid(now @ w[reset] + h @ u[own[1]] + b[update if fault == "bias" else reset])
            return (1 - z) * h + z * jnp.tanh(now @ w[2] + (r * h) @ u[2] + b[2]), None

        h, _ = lax.scan(step, jnp.zeros((len(x), 5)), x.swapaxes(0, 1))
        return h @ p["head"]

    raw, order = maker(copied), (1, 0, 2) if fault == "order" else (0, 1, 2)
    w, u, b = (
        jnp.concatenate([raw(first + place, *shape) for place in order], -1)
        for first, shape in ((0, (3, 5)), (4, (5, 5)), (8, (5,)))
    )
    return {"w": w, "u": u, "b": b, "head": raw(20, 5, 2)}, run
