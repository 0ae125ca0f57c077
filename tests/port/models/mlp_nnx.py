"""The dense network in Flax NNX; `faults` names what is planted."""

from flax import nnx


def make(faults=()):
    return Mlp(set(faults), nnx.Rngs(0))


class Mlp(nnx.Module):
    def __init__(self, has, rngs):
        self.has = has
        self.first = nnx.Linear(20, 32, rngs=rngs)
        epsilon = 1e-3 if "epsilon" in has else 1e-5
        self.norm = nnx.BatchNorm(32, momentum=0.9, epsilon=epsilon, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.second, self.last = nnx.Linear(32, 16, rngs=rngs), nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x):
        x = self.first(x)
        x = self.norm(nnx.silu(x)) if "order" in self.has else nnx.silu(self.norm(x))
        return self.last(nnx.elu(self.second(self.dropout(x))))
