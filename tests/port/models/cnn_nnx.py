"""The CNN in Flax NNX; `faults` names what is planted."""

import jax
import jax.numpy as jnp
from flax import nnx


def make(faults=()):
    return Cnn(set(faults), nnx.Rngs(0))


class Cnn(nnx.Module):
    def __init__(self, has, rngs):
        self.has = has
        dilation = (2, 2) if "dilation" in has else (1, 1)
        bias = "missing bias" not in has
        self.first = nnx.Conv(3, 8, (3, 3), kernel_dilation=dilation, use_bias=bias, rngs=rngs)
        padding = "SAME" if "padding" in has else ((1, 1), (1, 1))
        self.second = nnx.Conv(8, 12, (3, 3), strides=2, padding=padding, rngs=rngs)
        self.hidden = nnx.Linear(12 * 4 * 4, 32, rngs=rngs)
        self.dropout = nnx.Dropout(0.5 if "dropout rate" in has else 0.25, rngs=rngs)
        self.last = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        has = self.has
        x = self.first(x)
        if "missing call" not in has:
            x = jax.nn.silu(x) if "activation" in has else nnx.relu(x)
        pool = nnx.avg_pool if "pooling" in has else nnx.max_pool
        x = pool(x, (2, 2), strides=(2, 2))
        x = nnx.leaky_relu(self.second(x), 0.2 if "slope" in has else 0.1)
        counted = "counted padding" in has
        x = nnx.avg_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)), count_include_pad=counted)
        if "flatten order" not in has:
            x = jnp.transpose(x, (0, 3, 1, 2))
        x = self.hidden(x.reshape(x.shape[0], -1))
        x = self.dropout(nnx.gelu(x, approximate="GELU" in has))
        return self.last(x)
