"""JAX's functions that compute in float32, by their formulas in float64."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from keras.src import backend

from harness_keras.port.float64 import Replacement

Tensor = Any


def replacements() -> tuple[Replacement, ...]:
    """The replacements for functions of Keras."""
    return (Replacement(backend.nn, "dot_product_attention", dot_product_attention),)


def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """Of ``(batch, length, heads, depth)``; keys and values may have fewer heads, one for a group of queries.

    JAX's own sums the scores in float32.
    """
    del flash_attention
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = jnp.repeat(key, groups, axis=2), jnp.repeat(value, groups, axis=2)
    scale = 1 / math.sqrt(key.shape[-1]) if scale is None else scale
    scores = jnp.einsum("btnh,bsnh->bnts", query, key) * scale
    if attn_logits_soft_cap is not None:
        scores = jnp.tanh(scores / attn_logits_soft_cap) * attn_logits_soft_cap
    scores = scores if bias is None else scores + bias
    kept = jnp.tril(jnp.ones(scores.shape[-2:], bool)) if is_causal else None
    if mask is not None:
        kept = mask if kept is None else jnp.logical_and(mask, kept)
    if kept is not None:
        scores = jnp.where(kept, scores, -0.7 * jnp.finfo(scores.dtype).max)
    return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(scores, axis=-1), value)
