"""The GRU and the LSTM in Flax NNX."""

import jax
import jax.numpy as jnp
from flax import nnx


def make(faults=(), cell="gru"):
    return Recurrent(set(faults), cell, nnx.Rngs(0))


class BiasedCell(nnx.GRUCell):
    """The cell of PyTorch and Keras, which has a bias in the product with the state, too."""

    def __init__(self, inputs, units, *, rngs, **options):
        super().__init__(inputs, units, rngs=rngs, **options)
        self.dense_h = nnx.Linear(units, 3 * units, rngs=rngs)


class Recurrent(nnx.Module):
    def __init__(self, has, cell, rngs):
        self.has = has
        options = {"gate_fn": jax.nn.hard_sigmoid} if "recurrent activation" in has else {}
        options |= {"activation_fn": jax.nn.relu} if "activation" in has else {}
        kind = BiasedCell if cell == "gru" else nnx.OptimizedLSTMCell
        self.cell = nnx.RNN(kind(4, 6, rngs=rngs, **options), reverse="direction" in has, keep_order=True)
        self.head = nnx.Linear(6, 5, use_bias="missing bias" not in has, rngs=rngs)

    def __call__(self, x):
        steps = self.cell(x)
        x = steps[:, -1] if "last step" in self.has else jnp.mean(steps, 1)
        return self.head(jnp.tanh(x))
