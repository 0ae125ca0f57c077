"""Steps in JAX: small networks, and the changes of the table of pairs."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from together import together

WIDTH, TOKENS = 32, 27


def dense(p, x, form):
    w, b = p["w"], p["b"]
    if form == "einsum":
        return jnp.einsum("...i,ij->...j", x, w) + b
    if form == "split":
        half = w.shape[1] // 2
        return jnp.concatenate([x @ w[:, :half] + b[:half], x @ w[:, half:] + b[half:]], -1)
    if form == "reverse":
        return x[..., ::-1] @ w[::-1] + b
    return x @ w + b


def dense_weights(key, rows, columns):
    return {"w": jax.random.normal(key, (rows, columns)) / math.sqrt(rows), "b": jnp.zeros(columns)}


def batch_norm(p, x, axes, eps, form):
    mean = x.mean(axes, keepdims=True)
    variance = jnp.square(x - mean).mean(axes, keepdims=True)
    if form == "moments":
        variance = jnp.square(x).mean(axes, keepdims=True) - jnp.square(mean)
    scaled = (
        (x - mean) / jnp.sqrt(variance + eps)
        if form == "sqrt"
        else (x - mean) * jax.lax.rsqrt(variance + eps)
    )
    return scaled * p["scale"] + p["shift"]


def cnn(p, x, _key, layout="NHWC", norm="rsqrt", norm_eps=1e-5, **_):
    axes, channels = (0, 1, 2), (-1,)
    if layout == "NCHW":
        x, axes, channels = x.transpose(0, 3, 1, 2), (0, 2, 3), (-1, 1, 1)
    for kernel in ("first", "second"):
        x = jax.lax.conv_general_dilated(
            x, p[kernel]["w"], (1, 1), "SAME", dimension_numbers=(layout, "HWIO", layout)
        )
        x = x + p[kernel]["b"].reshape(channels)
        normal = {key: value.reshape(channels) for key, value in p["norm"].items()}
        x = jax.nn.relu(batch_norm(normal, x, axes, norm_eps, norm))
    x = x.transpose(0, 2, 3, 1) if layout == "NCHW" else x
    x = x.reshape(len(x), 4, 4, 4, 4, 16).mean((2, 4)).reshape(len(x), -1)
    return dense(p["head"], x, "")


def cnn_weights(keys):
    kernel = {"w": jax.random.normal(keys[0], (3, 3, 3, 16)) / 5, "b": jnp.zeros(16)}
    second = {"w": jax.random.normal(keys[1], (3, 3, 16, 16)) / 12, "b": jnp.zeros(16)}
    norm = {"scale": jnp.ones(16), "shift": jnp.zeros(16)}
    return {"first": kernel, "second": second, "norm": norm, "head": dense_weights(keys[2], 256, 10)}


def mlp(p, x, _key, form="", **_):
    x = jnp.tanh(dense(p["a"], x, form))
    return dense(p["c"], jax.nn.relu(dense(p["b"], x, form)), form)


def mlp_weights(keys):
    sizes = {"a": (64, 128), "b": (128, 128), "c": (128, 10)}
    return {name: dense_weights(key, *size) for key, (name, size) in zip(keys, sizes.items(), strict=False)}


def dropped(key, x, rate):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0.0) if rate else x


def rms(scale, x, form, eps):
    mean = (x * x if form == "x*x" else x**2).mean(-1, keepdims=True) + eps
    return (x / jnp.sqrt(mean) if form == "1/sqrt" else x * jax.lax.rsqrt(mean)) * scale


def block(p, x, key, attention="einsum", rms_norm="rsqrt", dropout=0.1, norm_eps=1e-6, remat=False, **_):
    first, second = jax.random.split(key)
    x = p["embedding"][x]

    def attend(x):
        h = rms(p["norms"][0], x, rms_norm, norm_eps)
        if attention == "q, k, v":
            parts = zip(jnp.split(p["qkv"]["w"], 3, 1), jnp.split(p["qkv"]["b"], 3), strict=False)
            q, k, v = (h @ w + b for w, b in parts)
        else:
            q, k, v = jnp.split(dense(p["qkv"], h, ""), 3, -1)
        q, k, v = (each.reshape(*each.shape[:2], 4, -1) for each in (q, k, v))
        if attention == "library":
            return jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
        if attention == "matmul":
            scores = q.transpose(0, 2, 1, 3) @ k.transpose(0, 2, 3, 1) / math.sqrt(q.shape[-1])
        else:
            scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        mask = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))
        weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), -1)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape)

    attend = jax.checkpoint(attend) if remat else attend
    x = x + dropped(first, dense(p["out"], attend(x), ""), dropout)
    h = jax.nn.gelu(dense(p["up"], rms(p["norms"][1], x, rms_norm, norm_eps), ""))
    return dense(p["head"], x + dropped(second, dense(p["down"], h, ""), dropout), "").reshape(-1, TOKENS)


def block_weights(keys):
    sizes = {"qkv": 3 * WIDTH, "out": WIDTH, "up": 4 * WIDTH, "head": TOKENS}
    made = {
        name: dense_weights(key, WIDTH, size) for key, (name, size) in zip(keys, sizes.items(), strict=False)
    }
    made["down"] = dense_weights(keys[4], 4 * WIDTH, WIDTH)
    return made | {"embedding": jax.random.normal(keys[5], (TOKENS, WIDTH)), "norms": jnp.ones((2, WIDTH))}


def rnn(p, x, _key, cells="scan", **_):
    def cell(h, row):
        h = jnp.tanh(dense(p["input"], row, "") + dense(p["hidden"], h, ""))
        return h, None

    h = jnp.zeros((len(x), 32))
    if cells == "scan":
        h, _ = jax.lax.scan(cell, h, x.swapaxes(0, 1))
    else:
        for t in range(x.shape[1]):
            h, _ = cell(h, x[:, t])
    return dense(p["head"], h, "")


def rnn_weights(keys):
    return {"input": dense_weights(keys[0], 12, 32), "hidden": dense_weights(keys[1], 32, 32)} | {
        "head": dense_weights(keys[2], 32, 10)
    }


NETWORKS = {"cnn": (cnn, cnn_weights), "mlp": (mlp, mlp_weights), "block": (block, block_weights)}
NETWORKS["rnn"] = (rnn, rnn_weights)
SHAPES = {"cnn": (32, 16, 16, 3), "mlp": (64, 64), "rnn": (32, 12, 12)}


def own_adamw(rate, b2, eps, decay):
    """AdamW as in its paper."""

    def begin(p):
        zeros = jax.tree.map(jnp.zeros_like, p)
        return zeros, zeros, jnp.zeros(())

    def update(g, state, p):
        m, v, n = state
        n = n + 1
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: b2 * a + (1 - b2) * b * b, v, g)
        updates = jax.tree.map(
            lambda a, b, c: (
                -rate(n - 1) * ((a / (1 - 0.9**n)) / (jnp.sqrt(b / (1 - b2**n)) + eps) + decay * c)
            ),
            m,
            v,
            p,
        )
        return updates, (m, v, n)

    return optax.GradientTransformation(begin, update)


def make(
    net,
    jit=True,
    donate=False,
    loss="optax",
    smoothing=0.0,
    optimizer="adamw",
    decay=1e-2,
    eps=1e-8,
    beta=0.999,
    momentum=0.9,
    nesterov=False,
    clip=0.0,
    clip_late=False,
    first=0,
    gain=1.0,
    parts=1,
    order=1,
    batching="batch",
    double=False,
    **more,
):
    """Make a step of training a network with one of the changes of the table."""
    run, weights = NETWORKS[net]
    p = jax.tree.map(lambda each: each * gain, weights(jax.random.split(jax.random.key(0), 6)))
    rows = np.random.default_rng(0)
    if net == "block":
        tokens = jnp.asarray(rows.integers(0, TOKENS, (8, 25)))
        x, y = tokens[:, :-1], tokens[:, 1:].reshape(-1)
    else:
        x = jnp.asarray(rows.normal(size=SHAPES[net]).astype(np.float32))
        y = jnp.asarray(rows.integers(0, 10, SHAPES[net][0]))
    x, y = (x[::order], y[::order]) if order != 1 else (x, y)

    def rate(n):
        return 1e-2 / (1 + (n + first) / 1000)

    chosen = {
        "adamw": lambda: optax.adamw(rate, b2=beta, eps=eps, weight_decay=decay),
        "own adamw": lambda: own_adamw(rate, beta, eps, decay),
        "sgd": lambda: optax.chain(
            optax.add_decayed_weights(decay), optax.sgd(lambda n: 10 * rate(n), momentum, nesterov)
        ),
    }[optimizer]()
    norm = [optax.clip_by_global_norm(clip)] if clip else []
    updates = optax.chain(*([chosen, *norm] if clip_late else [*norm, chosen]))

    def loss_of(p, x, y, key):
        if batching == "vmap":
            logits = jax.vmap(lambda one: run(p, one[None], key, **more)[0])(x)
        else:
            logits = run(p, x, key, **more)
        if loss == "optax":
            wanted = optax.smooth_labels(jax.nn.one_hot(y, logits.shape[-1]), smoothing)
            return optax.softmax_cross_entropy(logits, wanted).mean()
        scores = jax.nn.log_softmax(logits)[jnp.arange(len(y)), y]
        if loss == "logsumexp":
            scores = logits[jnp.arange(len(y)), y] - jax.scipy.special.logsumexp(logits, -1)
        return -scores[::-1].sum() / len(y)

    def update(p, state, key):
        values, gradients = [], []
        for xs, ys in zip(jnp.split(x, parts), jnp.split(y, parts), strict=False):
            value, gradient = jax.value_and_grad(loss_of)(p, xs, ys, key)
            values.append(value)
            gradients.append(gradient)
        gradient = jax.tree.map(lambda *each: sum(each) / parts, *gradients)
        changed, state = updates.update(gradient, state, p)
        return optax.apply_updates(p, changed), state, sum(values) / parts

    if jit:
        update = jax.jit(update, donate_argnums=(0, 1) if donate else ())
    calls, now = [0], [p, updates.init(p)]

    def step():
        calls[0] += 1
        now[0], now[1], value = update(*now, jax.random.key(calls[0]))
        return {"loss": value}

    step.state = lambda: now[0]
    return step


make_steps = together(make, lambda _number: None)
