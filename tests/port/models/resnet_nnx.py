"""The residual network in Flax NNX."""

import jax.numpy as jnp
from flax import nnx


def make(faults=()):
    return ResNet(set(faults), nnx.Rngs(0))


def norm(features, rngs):
    return nnx.BatchNorm(features, momentum=0.9, epsilon=1e-5, rngs=rngs)


def conv(inputs, outputs, size, stride, rngs):
    padding = ((1, 1), (1, 1)) if size == 3 else "VALID"
    return nnx.Conv(inputs, outputs, (size, size), stride, padding=padding, use_bias=False, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, has, inputs, outputs, stride, rngs):
        self.has = has
        self.conv1 = conv(inputs, outputs, 3, stride, rngs)
        self.bn1 = norm(outputs, rngs)
        self.conv2 = conv(outputs, outputs, 3, 1, rngs)
        self.bn2 = norm(outputs, rngs)
        self.is_plain = stride == 1
        if not self.is_plain:
            self.shortcut = conv(inputs, outputs, 1, stride, rngs)
            self.shortcut_bn = norm(outputs, rngs)

    def __call__(self, x):
        y = self.bn2(self.conv2(nnx.relu(self.bn1(self.conv1(x)))))
        if not self.is_plain:
            x = self.shortcut_bn(self.shortcut(x))
        y = y + x
        return y if "missing call" in self.has and self.is_plain else nnx.relu(y)


class ResNet(nnx.Module):
    def __init__(self, has, rngs):
        self.stem = conv(3, 8, 3, 1, rngs)
        self.bn = norm(8, rngs)
        self.first, self.second = Block(has, 8, 8, 1, rngs), Block(has, 8, 16, 2, rngs)
        self.head = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        x = self.second(self.first(nnx.relu(self.bn(self.stem(x)))))
        return self.head(jnp.mean(x, (1, 2)))


def without_a_relu():
    return make(["missing call"])
