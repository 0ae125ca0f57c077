"""The transformer in Flax NNX."""

import jax
import jax.numpy as jnp
from flax import nnx

LENGTH, VOCABULARY, WIDTH, HEADS = 12, 17, 16, 2


def make(faults=()):
    return Transformer(nnx.Rngs(0))


class Block(nnx.Module):
    def __init__(self, rngs):
        self.ln1 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.ln2 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.qkv, self.out = nnx.Linear(WIDTH, 3 * WIDTH, rngs=rngs), nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.up, self.down = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x):
        shape = (*x.shape[:2], HEADS, -1)
        q, k, v = (part.reshape(shape) for part in jnp.split(self.qkv(self.ln1(x)), 3, -1))
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.out(y.reshape(*x.shape)))
        y = nnx.gelu(self.up(self.ln2(x)), approximate=False)
        return x + self.dropout(self.down(y))


class Transformer(nnx.Module):
    def __init__(self, rngs):
        self.tokens = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.places = nnx.Embed(LENGTH, WIDTH, rngs=rngs)
        self.first, self.second = Block(rngs), Block(rngs)
        self.ln = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.head = nnx.Linear(WIDTH, VOCABULARY, use_bias=False, rngs=rngs)

    def __call__(self, tokens):
        x = self.tokens(tokens) + self.places(jnp.arange(LENGTH))
        return self.head(self.ln(self.second(self.first(x))))
