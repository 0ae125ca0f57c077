"""The same models as functions of JAX, in another order or written otherwise; ``fault`` names the mistake."""

import jax.numpy as jnp
from flax import nnx
from jax import lax, nn
from pairs_nnx import RNGS, Net, dense
from rewritten_jax import head, linear, raw


def attended(q, k, v, scale):
    return nn.softmax(scale * q @ k.swapaxes(-1, -2), -1) @ v


def registers(fault=""):
    """The learned tokens come first."""

    def run(p, x):
        memory = jnp.broadcast_to(p["memory"], (len(x), 2, 8))
        h = jnp.concatenate([memory, linear(p["inner"], x) + p["places"]], 1)
        h = h + attended(*(linear(p[name], h) for name in "qkv"), 8**-0.5)
        return linear(p["head"], h[:, :5].mean(1) if fault == "part" else h[:, 2:].mean(1))

    parts = {name: head(8, 8) for name in "qkv"}
    return {"inner": head(4, 8), "head": head(8, 3), "places": raw(5, 8), "memory": raw(2, 8), **parts}, run


def skew(fault=""):
    """Scores of distances by gathering."""

    def run(p, x):
        batch, length, _ = x.shape
        q, k, v = (linear(p[name], x).reshape(batch, length, 2, 4).transpose(0, 2, 1, 3) for name in "qkv")
        near = jnp.arange(length) - jnp.arange(length)[:, None]
        index = jnp.clip(near + length - 1, 0, length - 1)
        index = index - 1 if fault == "distance" else index
        far = jnp.take_along_axis(q @ p["distances"].T, jnp.broadcast_to(index, (batch, 2, *index.shape)), -1)
        scores = (q @ k.swapaxes(-1, -2) + far) / 2
        scores = jnp.where(near <= 0, scores, -jnp.inf)
        made = nn.softmax(scores, -1) @ v
        return linear(p["head"], made.swapaxes(1, 2).reshape(batch, length, 8))

    return {**{name: head(8, 8) for name in "qkv"}, "head": head(8, 3), "distances": raw(6, 4)}, run


def windows(fault=""):
    """Biases by a product with one-hot vectors, with an axis for each direction."""

    def run(p, x):
        q, k, v = (jnp.einsum("bti,ihd->bthd", x, p[name]) + p[f"{name}_bias"] for name in "qkv")
        far = jnp.arange(3)[:, None] - jnp.arange(3) + 2
        chosen = nn.one_hot(far, 5)
        bias = jnp.einsum("ija,klb,abh->hikjl", chosen, chosen, p["table"]).reshape(2, 9, 9)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k)
        scores = (scores + bias) / 2 if fault == "scaled" else scores / 2 + bias
        made = jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores, -1), v)
        return linear(p["head"], made.reshape(*made.shape[:2], -1))

    parts = {name: raw(8, 2, 4) for name in "qkv"} | {f"{name}_bias": raw(2, 4) for name in "qkv"}
    return {**parts, "table": raw(5, 5, 2), "head": head(8, 3)}, run


def dueling(fault=""):
    """One layer for the advantages and the value."""

    def run(p, x):
        made = linear(p["both"], nn.relu(linear(p["body"], x)))
        advantage, value = made[..., :4], made[..., 4:]
        middle = advantage.max(-1, keepdims=True) if fault == "max" else advantage.mean(-1, keepdims=True)
        return value + (advantage - middle)

    return {"body": head(5, 8), "both": head(8, 5)}, run


def compositing(fault=""):
    """Sums of logarithms in the place of products."""

    def run(p, x):
        h = nn.relu(linear(p["body"], x))
        depth = nn.softplus(linear(p["density"], h))
        before = jnp.cumsum(depth, 1) - (0.0 if fault == "inclusive" else depth)
        weights = jnp.exp(-before) * (1 - jnp.exp(-depth))
        return jnp.einsum("btk,btc->bc", weights, nn.sigmoid(linear(p["colour"], h)))

    return {"body": head(4, 8), "density": head(8, 1), "colour": head(8, 3)}, run


def sampler(fault=""):
    """Four neighbours with their weights."""

    def run(p, x):
        features = lax.conv_general_dilated(
            x, p["conv"]["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        features = features + p["conv"]["bias"]
        places = jnp.tanh(linear(p["places"], features.mean((1, 2)))).reshape(len(x), 4, 2)
        places = (places + 1) / 2 * 7 if fault == "corners" else ((places + 1) * 8 - 1) / 2
        places = jnp.clip(places, 0, 7)
        low = jnp.clip(jnp.floor(places), 0, 6).astype(int)
        share = places - low
        batch = jnp.arange(len(x))[:, None]
        total = 0.0
        for right in (0, 1):
            for down in (0, 1):
                weight = jnp.where(right, share[..., 0], 1 - share[..., 0])
                weight = weight * jnp.where(down, share[..., 1], 1 - share[..., 1])
                total = total + weight[..., None] * features[batch, low[..., 1] + down, low[..., 0] + right]
        return linear(p["head"], total.swapaxes(1, 2).reshape(len(x), -1))

    return {
        "conv": {"kernel": raw(3, 3, 3, 4), "bias": raw(4)},
        "places": head(4, 8),
        "head": head(16, 3),
    }, run


def capped(fault=""):
    """An axis of groups in the place of repeated heads."""

    def run(p, x):
        batch, length, _ = x.shape
        q = (x @ p["q"]).reshape(batch, length, 2, 2, 4)
        k, v = ((x @ p[name]).reshape(batch, length, 2, 4) for name in "kv")
        letters = "bqngd" if fault == "tiled" else "bqgnd"
        scores = jnp.einsum(f"{letters},bkgd->bgnqk", q, k) / 2
        far = jnp.arange(length)[:, None] - jnp.arange(length)
        seen = (far >= 0) & (far <= (3 if fault == "window" else 2))
        if fault == "mask before":
            scores = 3 * jnp.tanh(jnp.where(seen, scores, -1e30) / 3)
        else:
            scores = jnp.where(seen, 3 * jnp.tanh(scores / 3), -1e30)
        made = jnp.einsum(f"bgnqk,bkgd->{letters}", nn.softmax(scores, -1), v)
        return made.reshape(batch, length, 16) @ p["head"]

    return {"q": raw(8, 16), "k": raw(8, 8), "v": raw(8, 8), "head": raw(16, 3)}, run


def turned(fault=""):
    """Rotations of complex numbers, and norms by hand."""

    def normal(scale, x):
        mean = (x * x).mean(-1, keepdims=True)
        root = jnp.sqrt(mean) + 1e-3 if fault == "epsilon" else jnp.sqrt(mean + 1e-3)
        return x / root * scale

    def rotated(x):
        angles = jnp.arange(x.shape[1])[:, None] / 100 ** (jnp.arange(4) / 4)
        halves = jnp.concatenate([-x[..., 4:], x[..., :4]], -1)
        return x * jnp.cos(jnp.tile(angles, 2)) + halves * jnp.sin(jnp.tile(angles, 2))

    def run(p, x):
        def made(name):
            h, scale = x @ p[name], p[f"{name}_norm"]
            return normal(scale, rotated(h)) if fault == "norm after" else rotated(normal(scale, h))

        return linear(p["head"], attended(made("q"), made("k"), x @ p["v"], 8**-0.5))

    parts = {name: raw(8, 8) for name in "qkv"} | {f"{name}_norm": 1 + raw(8) for name in "qk"}
    return {**parts, "head": head(8, 3)}, run


def tracking(fault=""):
    """A scan, and products by letters."""

    def run(p, x):
        noise = p["root"] @ p["root"].T

        def step(held, now):
            state, spread = held
            state = jnp.einsum("ij,bj->bi", p["move"], state)
            spread = p["move"] @ spread @ p["move"].T
            spread = spread if fault == "noise" else spread + noise
            gain = spread @ p["seen"] / (p["seen"] @ spread @ p["seen"] + 0.5)
            state = state + (now - (state @ p["seen"])[:, None]) * gain
            spread = (jnp.eye(2) - gain[:, None] * p["seen"]) @ spread
            return (state, spread + noise if fault == "noise" else spread), None

        (state, _), _ = lax.scan(step, (jnp.zeros((len(x), 2)), jnp.eye(2)), x.swapaxes(0, 1))
        return linear(p["head"], state)

    return {"move": raw(2, 2), "root": raw(2, 2), "seen": raw(2), "head": head(2, 2)}, run


def gates(fault=""):
    """A scan with an array for each gate."""

    def run(p, x):
        def step(h, now):
            r, z = (nn.sigmoid(now @ p[name]["w"] + h @ p[name]["u"]) for name in ("reset", "update"))
            n = jnp.tanh(now @ p["new"]["w"] + r * (h @ p["new"]["u"]))
            one, two = (h, n) if fault == "exchanged" else (n, h)
            return (1 - z) * one + z * two, None

        h, _ = lax.scan(step, jnp.zeros((len(x), 6)), x.swapaxes(0, 1))
        return h @ p["head"]

    parts = {name: {"w": raw(4, 6), "u": raw(6, 6)} for name in ("reset", "update", "new")}
    return {**parts, "head": raw(6, 3)}, run


def bilinear(fault=""):
    """The score by letters."""

    def run(p, x):
        left, right = (jnp.tanh(linear(p[name], x)) for name in ("left", "right"))
        letters = "bi,ji,bj->b" if fault == "transposed" else "bi,ij,bj->b"
        score = jnp.einsum(letters, left, p["between"], right)[:, None]
        return linear(p["head"], jnp.concatenate([score, nn.relu(left @ p["between"])], -1))

    return {"left": head(5, 6), "right": head(5, 6), "between": raw(6, 6), "head": head(7, 2)}, run


def decoder(fault=""):
    """Layers of flax with an array for each of query, key and value."""

    def run(net, x):
        seen = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool), 1 if fault == "future" else 0)
        h = x + net.own(net.before(x), mask=seen)
        return net.head(h + net.all(net.between(h), x))

    layers = {name: nnx.MultiHeadAttention(2, 8, decode=False, rngs=RNGS) for name in ("own", "all")}
    norms = {name: nnx.LayerNorm(8, epsilon=1e-5, rngs=RNGS) for name in ("before", "between")}
    return Net(run, head=dense(8, 3), **layers, **norms)
