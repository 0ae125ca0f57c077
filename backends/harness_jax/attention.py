"""The layers of transformers."""

import math

import jax
from jax import numpy as jnp

from harness.layers import Embedding, Layer, PositionEmbedding, SelfAttention, Unembedding
from harness_jax.layers import Apply, Call, dropped


def _embedding(call: Call[Embedding], tokens: jax.Array) -> jax.Array:
    """Look up the rows of the table for ``tokens (batch, steps)``."""
    return call.weights["table"][tokens]


def _position_embedding(call: Call[PositionEmbedding], x: jax.Array) -> jax.Array:
    """Add the first rows of the table to ``x (batch, steps, width)``."""
    return x + call.weights["table"][: x.shape[1]]


def _unembedding(call: Call[Unembedding], x: jax.Array) -> jax.Array:
    """Multiply ``x (batch, ..., width)`` by each row of an embedding's table."""
    return x @ call.network[f"{call.layer.embedding}/table"].T


def _self_attention(call: Call[SelfAttention], x: jax.Array) -> jax.Array:
    """Map ``x (batch, steps, width)`` to the same shape by multi-head attention.

    The function computes the same as ``jax.nn.dot_product_attention`` on the CPU, written out, because the
    latter rounds float64 to float32 before the softmax and has no dropout (jax 0.10).
    """
    layer, weights = call.layer, call.weights
    batch, steps, width = x.shape
    qkv = x @ weights["qkv_kernel"] + weights["qkv_bias"]
    q, k, v = (
        part.reshape(batch, steps, layer.heads, width // layer.heads) for part in jnp.split(qkv, 3, -1)
    )
    scores = jnp.einsum(
        "btnh,bsnh->bnts", q, k, preferred_element_type=jnp.promote_types(x.dtype, jnp.float32)
    )
    scores = scores / math.sqrt(width // layer.heads)
    if layer.causal:
        scores = jnp.where(jnp.tri(steps, dtype=bool), scores, -jnp.inf)
    attended = dropped(jax.nn.softmax(scores).astype(x.dtype), layer.dropout, call.key)
    y = jnp.einsum("bnts,bsnh->btnh", attended, v).reshape(batch, steps, width)
    return y @ weights["output_kernel"] + weights["output_bias"]


#: The kinds of this module.
KINDS: dict[type[Layer], Apply] = {
    Embedding: _embedding,
    PositionEmbedding: _position_embedding,
    SelfAttention: _self_attention,
    Unembedding: _unembedding,
}
