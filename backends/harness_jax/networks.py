"""A network as a pure function: the composition of its layers."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import jax
from jax import numpy as jnp

from harness.layers import Composite, Layer, Native, Residual
from harness.network import Network, PlacedLayer
from harness.spec.backend import Precision
from harness_jax import attention, layers, normalization
from harness_jax.layers import ACTIVATIONS, Apply, Call, Weights
from harness_jax.native import NativeModel, native_models


class Forward(Protocol):
    """Maps weights, inputs and the random key of a training step (None: evaluation) to outputs and state.

    Weights are parameters and state; the state that is returned is the next one. Inputs that are
    ``embedded`` are the outputs of the first layer.
    """

    def __call__(
        self, weights: Weights, x: jax.Array, key: jax.Array | None = ..., *, embedded: bool = ...
    ) -> tuple[jax.Array, dict[str, jax.Array]]: ...


#: Every kind but composite ones and models of the user's own, before its ``activation``.
_KINDS = layers.KINDS | attention.KINDS | normalization.KINDS
#: Kinds whose parameters remain float32 where the network computes in bfloat16. Native ones lower their own.
_PRECISE: tuple[type[Layer], ...] = (*normalization.KINDS, Native)


def _of(part: str, weights: Weights) -> dict[str, jax.Array]:
    """Return the weights whose names begin with ``part/``, by the rest of their names."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


@dataclasses.dataclass(frozen=True, slots=True)
class _Pass:
    """One pass through a network: what its layers share, and the state that they leave in ``state``."""

    weights: Weights
    lower: Weights
    """In the precision in which layers compute."""
    keys: Mapping[str, jax.Array | None]
    natives: Mapping[str, NativeModel]
    state: dict[str, jax.Array] = dataclasses.field(default_factory=dict)

    def sequence(self, places: Sequence[PlacedLayer], x: jax.Array) -> jax.Array:
        for place in places:
            joined = isinstance(place.layer, Composite)
            x = self._joined(place, x) if joined else self._leaf(place, x)
        return x

    def _joined(self, place: PlacedLayer, x: jax.Array) -> jax.Array:
        body = self.sequence(place.branches["body"], x)
        if isinstance(place.layer, Residual):
            return self.sequence(place.branches["shortcut"], x) + body
        return jnp.concatenate([x, body], axis=-1)

    def _leaf(self, place: PlacedLayer, x: jax.Array) -> jax.Array:
        layer = place.layer
        weights = self.weights if isinstance(layer, _PRECISE) else self.lower
        own, key = _of(place.name, weights), self.keys[place.name]
        call = Call(layer, place.input_shape, own, self.lower, key)
        apply: Apply = self.natives[place.name] if isinstance(layer, Native) else _KINDS[type(layer)]
        y = apply(call, x)
        self.state.update({f"{place.name}/{name}": array for name, array in call.state.items()})
        activation = getattr(layer, "activation", None)
        return y if activation is None else ACTIVATIONS[activation](y)


def forward_of(network: Network, precision: Precision) -> Forward:
    """Return the network as a function; with ``bfloat16`` it computes in bfloat16, from and to float32."""
    places = network.placed()
    leaves = [place.name for place in network.leaves()]
    natives, bfloat16 = native_models(network, precision), precision == "bfloat16"

    def lowered(array: jax.Array) -> jax.Array:
        floating = jnp.issubdtype(array.dtype, jnp.floating)
        return array.astype(jnp.bfloat16) if bfloat16 and floating else array

    def forward(
        weights: Weights, x: jax.Array, key: jax.Array | None = None, *, embedded: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        keys = {
            name: None if key is None else jax.random.fold_in(key, number)
            for number, name in enumerate(leaves)
        }
        lower = {name: lowered(array) for name, array in weights.items()}
        once = _Pass(weights, lower, keys, natives)
        y = once.sequence(places[embedded:], lowered(x))
        return y.astype(jnp.float32) if bfloat16 else y, once.state

    return forward
