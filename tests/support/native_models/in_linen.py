"""The models of `in_torch` in Flax Linen."""

import jax.numpy as jnp
from flax import linen as nn

VOCABULARY, LENGTH, WIDTH, HEADS = 11, 6, 8, 2


class Cnn(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Conv(4, (3, 3), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.silu(nn.Conv(3, (2, 2), strides=2, padding="VALID")(nn.max_pool(x, (2, 2), (2, 2))))
        return nn.Dense(5)(x.reshape(len(x), -1))


class Mlp(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Dropout(0.5, deterministic=not train)(jnp.tanh(nn.Dense(16)(x)))
        return nn.Dense(5)(x)
