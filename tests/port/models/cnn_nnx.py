"""The CNN in Flax NNX."""

import jax.numpy as jnp
from flax import nnx


def make(faults=()):
    return Cnn(nnx.Rngs(0))


class Cnn(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.second = nnx.Conv(8, 12, (3, 3), strides=2, padding=((1, 1), (1, 1)), rngs=rngs)
        self.hidden = nnx.Linear(12 * 4 * 4, 32, rngs=rngs)
        self.dropout = nnx.Dropout(0.25, rngs=rngs)
        self.last = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.first(x)), (2, 2), strides=(2, 2))
        x = nnx.leaky_relu(self.second(x), 0.1)
        x = nnx.avg_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)), count_include_pad=False)
        x = self.hidden(jnp.transpose(x, (0, 3, 1, 2)).reshape(x.shape[0], -1))
        return self.last(self.dropout(nnx.gelu(x, approximate=False)))
