"""What a layer's function is given, and what the functions of all kinds of layer have in common."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import jax
from jax import numpy as jnp

from harness.layers import LEAKY_RELU_SLOPE, ActivationName, Layer, Shape
from harness_jax.convolutions import Convolutions

#: Parameters and state of a network or of a part of it, by their names there.
Weights = Mapping[str, jax.Array]

KindT = TypeVar("KindT", bound=Layer)


@dataclasses.dataclass(frozen=True, slots=True)
class Call(Generic[KindT]):
    """One use of a ``layer`` for an input of ``shape`` (without the batch).

    ``weights`` are the layer's own, ``network`` those of the whole network, both in the precision in which
    the layer computes. ``key`` is its random key in a training step, None in evaluation.

    A layer with state puts the next one into ``state``, by the names of its own weights.
    """

    layer: KindT
    shape: Shape
    weights: Weights
    network: Weights
    key: jax.Array | None
    convolutions: Convolutions
    state: dict[str, jax.Array] = dataclasses.field(default_factory=dict)

    @property
    def training(self) -> bool:
        """Whether this is a training step."""
        return self.key is not None

    def biased(self, y: jax.Array) -> jax.Array:
        """``y`` plus the layer's bias, if it has one."""
        return y + self.weights["bias"] if "bias" in self.weights else y


#: A kind of layer as a function of its call and its input.
Apply = Callable[[Call[Any], jax.Array], jax.Array]


def dropped(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """``x`` with values zeroed at ``rate`` and the rest scaled, in a training step."""
    if key is None or not rate:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def _leaky_relu(x: jax.Array) -> jax.Array:
    # At zero jax.nn has slope 1; the contract has the slope of the negative side.
    return jnp.where(x > 0, x, LEAKY_RELU_SLOPE * x)


def _gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=False)


#: Each function of :data:`harness.layers.ActivationName`.
ACTIVATIONS: dict[ActivationName, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": _leaky_relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": _gelu,
    "gelu_tanh": jax.nn.gelu,
    "silu": jax.nn.silu,
}
