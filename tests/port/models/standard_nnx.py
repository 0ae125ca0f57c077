"""The same in Flax NNX; NumPy's deviation is the biased one unless it is told."""

import jax.numpy as jnp
from flax import nnx


def make(faults=()):
    return Standard(set(faults), nnx.Rngs(0))


class Standard(nnx.Module):
    def __init__(self, has, rngs):
        self.correction = 0 if "variance" in has else 1
        self.first, self.last = nnx.Linear(20, 16, rngs=rngs), nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x):
        x = self.first(x)
        x = (x - jnp.mean(x, -1, keepdims=True)) / jnp.std(x, -1, keepdims=True, ddof=self.correction)
        return self.last(x)
