"""The models of `in_torch` in Flax NNX."""

import jax.numpy as jnp
from flax import nnx

VOCABULARY, LENGTH, WIDTH, HEADS = 11, 6, 8, 2


def make_cnn():
    return Cnn(nnx.Rngs(0))


def make_transformer():
    return Transformer(nnx.Rngs(0))


def make_mlp():
    return Mlp(nnx.Rngs(0))


def make_counting():
    return Counting(nnx.Rngs(0))


def make_branching():
    return Branching(nnx.Rngs(0))


class Cnn(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.strided = nnx.Conv(4, 3, (2, 2), strides=2, padding="VALID", rngs=rngs)
        self.dense = nnx.Linear(12, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), (2, 2))
        return self.dense(nnx.silu(self.strided(x)).reshape(len(x), -1))


class Transformer(nnx.Module):
    def __init__(self, rngs):
        self.tokens = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.places = nnx.Param(jnp.zeros((LENGTH, WIDTH)))
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs), nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, VOCABULARY, use_bias=False, rngs=rngs)

    def __call__(self, tokens):
        x = self.tokens(tokens) + self.places[...]
        x = x + self.attention(self.norm(x), mask=nnx.make_causal_mask(tokens))
        return self.head(x + self.down(nnx.gelu(self.up(x), approximate=False)))


class Mlp(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(9, 16, rngs=rngs), nnx.Linear(16, 5, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(jnp.tanh(self.first(x))))


class Counting(Mlp):
    """Counts its steps and has a constant, of which a task names neither."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))
        self.shift = nnx.Variable(jnp.full(9, 0.25))

    def __call__(self, x):
        self.count[...] += 1
        return super().__call__(x + self.shift[...]) / self.count[...]


class Branching(Mlp):
    """Decides by values, which only code that is not compiled can."""

    def __call__(self, x):
        return super().__call__(x if x.sum() > 0 else -x)
