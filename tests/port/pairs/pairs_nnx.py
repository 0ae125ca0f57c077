"""Some of the models in flax, as B of the pairs."""

import jax
import jax.numpy as jnp
from flax import nnx


class Net(nnx.Module):
    """Named parts, and a function of them and the input."""

    def __init__(self, run, **parts):
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def __call__(self, x):
        return self.run(self, x)


RNGS = nnx.Rngs(0)


def dense(inputs, outputs):
    return nnx.Linear(inputs, outputs, rngs=RNGS)


def branches(fault=""):
    def run(net, x):
        parts = [jax.nn.relu(net.left(x)), jnp.tanh(net.right(x))]
        return net.head(jnp.concatenate(parts[::-1] if fault == "order" else parts, -1))

    return Net(run, left=dense(6, 5), right=dense(6, 5), head=dense(10, 3))


def swiglu(fault=""):
    def run(net, x):
        gate, value = jnp.split(net.up(x), 2, axis=-1)
        if fault == "halves":
            gate, value = value, gate
        return net.head(x + net.down(jax.nn.silu(gate) * value))

    return Net(run, up=dense(8, 32), down=dense(16, 8), head=dense(8, 3))


def gemma_norm(fault=""):
    def run(net, x):
        root = jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6)
        return net.head(net.dense(x * root * (net.weight[...] + (fault == ""))))

    weight = nnx.Param(0.1 * jax.random.normal(jax.random.key(0), (8,)))
    return Net(run, weight=weight, dense=dense(8, 8), head=dense(8, 3))


def attention(fault=""):
    def run(net, x):
        h = net.tokens(x)
        batch, length, width = h.shape
        q, k, v = (each.reshape(batch, length, 4, 4) for each in jnp.split(net.qkv(h), 3, axis=-1))
        q, k = (k, q) if fault == "packing" else (q, k)
        axes = (0, 1) if fault == "mask" else (1, 0)
        mask = jnp.tril(jnp.ones((length, length), bool)).transpose(axes[::-1])
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (1.0 if fault == "scale" else 0.5)
        shares = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), -1)
        out = jnp.einsum("bhqk,bkhd->bqhd", shares, v)
        out = out.transpose(0, 2, 1, 3) if fault == "merge" else out
        return net.head(h + net.out(out.reshape(batch, length, width)))

    parts = {"qkv": dense(16, 48), "out": dense(16, 16), "head": dense(16, 3)}
    return Net(run, tokens=nnx.Embed(11, 16, rngs=RNGS), **parts)


def shuffled_pixels(fault=""):
    def run(net, x):
        x = net.conv(x)
        batch, height, width, _ = x.shape
        shape, axes = ((4, 2, 2), (0, 1, 4, 2, 5, 3)) if fault == "" else ((2, 2, 4), (0, 1, 3, 2, 4, 5))
        x = x.reshape(batch, height, width, *shape).transpose(axes)
        return net.last(jax.nn.relu(x.reshape(batch, 2 * height, 2 * width, 4)))

    conv = nnx.Conv(3, 16, (3, 3), rngs=RNGS)
    return Net(run, conv=conv, last=nnx.Conv(4, 3, (3, 3), padding="VALID", rngs=RNGS))


def mlp():
    return Net(lambda net, x: net.two(jnp.tanh(net.one(x))), one=dense(6, 8), two=dense(8, 3))
