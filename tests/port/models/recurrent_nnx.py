"""The GRU and the LSTM in Flax NNX."""

import jax.numpy as jnp
from flax import nnx


def make(faults=(), cell="gru"):
    return Recurrent(cell, nnx.Rngs(0))


class BiasedCell(nnx.GRUCell):
    """The cell of PyTorch and Keras, which has a bias in the product with the state, too."""

    def __init__(self, inputs, units, *, rngs):
        super().__init__(inputs, units, rngs=rngs)
        self.dense_h = nnx.Linear(units, 3 * units, rngs=rngs)


class Recurrent(nnx.Module):
    def __init__(self, cell, rngs):
        kind = BiasedCell if cell == "gru" else nnx.OptimizedLSTMCell
        self.cell = nnx.RNN(kind(4, 6, rngs=rngs))
        self.head = nnx.Linear(6, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(jnp.mean(self.cell(x), 1)))
