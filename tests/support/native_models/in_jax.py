"""The models of `in_torch` in plain JAX, without state."""

import jax
import jax.numpy as jnp

VOCABULARY, LENGTH, WIDTH, HEADS = 11, 6, 8, 2


def make_transformer():
    shapes = {
        "tokens": (VOCABULARY, WIDTH),
        "places": (LENGTH, WIDTH),
        "norm": {"scale": (WIDTH,), "bias": (WIDTH,)},
        "qkv": {"kernel": (WIDTH, 3 * WIDTH), "bias": (3 * WIDTH,)},
        "out": {"kernel": (WIDTH, WIDTH), "bias": (WIDTH,)},
        "up": {"kernel": (WIDTH, 2 * WIDTH), "bias": (2 * WIDTH,)},
        "down": {"kernel": (2 * WIDTH, WIDTH), "bias": (WIDTH,)},
        "head": {"kernel": (WIDTH, VOCABULARY)},
    }
    return jax.tree.map(jnp.ones, shapes, is_leaf=lambda shape: isinstance(shape, tuple)), transformer


def make_mlp():
    shapes = {"first": {"kernel": (9, 16), "bias": (16,)}, "last": {"kernel": (16, 5), "bias": (5,)}}
    return jax.tree.map(jnp.ones, shapes, is_leaf=lambda shape: isinstance(shape, tuple)), mlp


def make_drawing():
    return make_mlp()[0], drawing_mlp


def dense(parameters, x):
    y = x @ parameters["kernel"]
    return y + parameters["bias"] if "bias" in parameters else y


def transformer(parameters, tokens):
    x = parameters["tokens"][tokens] + parameters["places"]
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    y = (x - mean) * jax.lax.rsqrt(variance + 1e-5)
    y = dense(parameters["qkv"], y * parameters["norm"]["scale"] + parameters["norm"]["bias"])
    q, k, v = (part.reshape(*part.shape[:2], HEADS, -1) for part in jnp.split(y, 3, -1))
    y = jax.nn.dot_product_attention(q, k, v, is_causal=True)  # which computes its softmax in float32
    x = x + dense(parameters["out"], y.reshape(x.shape))
    y = jax.nn.gelu(dense(parameters["up"], x), approximate=False)
    return dense(parameters["head"], x + dense(parameters["down"], y))


def drawing_mlp(parameters, x, key):
    return mlp(parameters, x, key)


def mlp(parameters, x, key=None):
    x = jnp.tanh(dense(parameters["first"], x))
    if key is not None:
        x = jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x / 0.5, 0.0)
    return dense(parameters["last"], x)
