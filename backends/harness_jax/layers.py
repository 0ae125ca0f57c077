"""Each kind of layer as a pure function, and a network as their composition.

Canonical layout is JAX's own, so parameters and pictures are never rearranged.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import jax
from jax import numpy as jnp

from harness.layers import (
    GRU,
    LSTM,
    Activation,
    AveragePool2D,
    BatchNorm,
    Composite,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MaxPool2D,
    Native,
    PositionEmbedding,
    Reshape,
    Residual,
    SelfAttention,
    Unembedding,
    UpSample2D,
)
from harness.network import Network, PlacedLayer
from harness.spec.backend import Precision
from harness_jax.attention import embedding, position_embedding, self_attention, unembedding
from harness_jax.calls import ACTIVATIONS, Apply, Call, Weights, dropped
from harness_jax.convolutions import Convolutions
from harness_jax.native import NativeModel, native_models
from harness_jax.normalization import batch_norm, layer_norm
from harness_jax.recurrent import recurrent
from harness_jax.sampling import average_pool, flatten, global_average_pool, max_pool, reshape, up_sample


class Forward(Protocol):
    """Maps weights, inputs and the random key of a training step (None: evaluation) to outputs and state.

    Weights are parameters and state; the state that is returned is the next one.
    """

    def __call__(
        self, weights: Weights, x: jax.Array, key: jax.Array | None = ...
    ) -> tuple[jax.Array, dict[str, jax.Array]]: ...


def _conv2d(call: Call[Conv2D], x: jax.Array) -> jax.Array:
    return call.biased(call.convolutions.convolve(call.layer, call.shape, x, call.weights["kernel"]))


def _conv1d(call: Call[Conv1D], x: jax.Array) -> jax.Array:
    return call.biased(call.convolutions.convolve_sequence(call.layer, x, call.weights["kernel"]))


def _conv_transpose2d(call: Call[ConvTranspose2D], x: jax.Array) -> jax.Array:
    return call.biased(call.convolutions.transposed(call.layer, x, call.weights["kernel"]))


def _dense(call: Call[Dense], x: jax.Array) -> jax.Array:
    return call.biased(x @ call.weights["kernel"])


def _dropout(call: Call[Dropout], x: jax.Array) -> jax.Array:
    return dropped(x, call.layer.rate, call.key)


def _activation(call: Call[Activation], x: jax.Array) -> jax.Array:
    return ACTIVATIONS[call.layer.function](x)


#: Every kind but composite ones and models of the user's own, before its ``activation``.
_KINDS: dict[type[Layer], Apply] = {
    Activation: _activation,
    AveragePool2D: average_pool,
    BatchNorm: batch_norm,
    Conv1D: _conv1d,
    Conv2D: _conv2d,
    ConvTranspose2D: _conv_transpose2d,
    Dense: _dense,
    Dropout: _dropout,
    Embedding: embedding,
    Flatten: flatten,
    GRU: recurrent,
    GlobalAveragePool: global_average_pool,
    LSTM: recurrent,
    LayerNorm: layer_norm,
    MaxPool2D: max_pool,
    PositionEmbedding: position_embedding,
    Reshape: reshape,
    SelfAttention: self_attention,
    Unembedding: unembedding,
    UpSample2D: up_sample,
}
#: Kinds whose parameters remain float32 where the network computes in bfloat16. Native ones lower their own.
_PRECISE = (BatchNorm, LayerNorm, Native)


def _of(part: str, weights: Weights) -> dict[str, jax.Array]:
    """The weights whose names begin with ``part/``, by the rest of their names."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


@dataclasses.dataclass(frozen=True, slots=True)
class _Pass:
    """One pass through a network: what its layers share, and the state that they leave in ``state``."""

    weights: Weights
    lower: Weights
    """In the precision in which layers compute."""
    keys: Mapping[str, jax.Array | None]
    convolutions: Convolutions
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
        call = Call(layer, place.input_shape, own, self.lower, key, self.convolutions)
        apply: Apply = self.natives[place.name] if isinstance(layer, Native) else _KINDS[type(layer)]
        y = apply(call, x)
        self.state.update({f"{place.name}/{name}": array for name, array in call.state.items()})
        activation = getattr(layer, "activation", None)
        return y if activation is None else ACTIVATIONS[activation](y)


def forward_of(network: Network, convolutions: Convolutions, precision: Precision) -> Forward:
    """The network as a function; in ``bfloat16`` it computes in that, from and to float32.

    Raises:
        Unsupported: a model of the user's own is not for JAX; see :func:`harness_jax.native.native_models`.
    """
    places = network.placed()
    leaves = [place.name for place in network.leaves()]
    natives, bfloat16 = native_models(network, precision), precision == "bfloat16"

    def lowered(array: jax.Array) -> jax.Array:
        floating = jnp.issubdtype(array.dtype, jnp.floating)
        return array.astype(jnp.bfloat16) if bfloat16 and floating else array

    def forward(
        weights: Weights, x: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        keys = {
            name: None if key is None else jax.random.fold_in(key, number)
            for number, name in enumerate(leaves)
        }
        lower = {name: lowered(array) for name, array in weights.items()}
        once = _Pass(weights, lower, keys, convolutions, natives)
        y = once.sequence(places, lowered(x))
        return y.astype(jnp.float32) if bfloat16 else y, once.state

    return forward
