"""Embeddings and self-attention in plain NumPy, with their backward passes.

Shapes in comments: B samples, T steps, W features, H heads of S features each.
"""

import numpy as np

from harness.core.reference.passes import Array, Backward, Gradients, Pass, add
from harness.layers import SelfAttention

#: The score of a key that is masked.
_MASKED = -1e30


def embed(table_name: str, tokens: Array, made: Pass) -> tuple[Array, Backward]:
    """Look up the rows of a table for ``tokens``."""
    table, rows = made.weights[table_name], tokens.astype(np.int64)

    def backward(gradient: Array, gradients: Gradients) -> Array:
        table_gradient = np.zeros_like(table)
        np.add.at(table_gradient, rows, gradient)
        add(gradients, table_name, table_gradient)
        return gradient

    return table[rows], backward


def add_positions(table_name: str, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Add the first rows of a table."""
    table, steps = made.weights[table_name], x.shape[1]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        table_gradient = np.zeros_like(table)
        table_gradient[:steps] = gradient.sum(axis=0)
        add(gradients, table_name, table_gradient)
        return gradient

    return x + table[:steps], backward


def unembed(table_name: str, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Compute logits by a table."""
    table = made.weights[table_name]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        add(gradients, table_name, np.einsum("...v,...w->vw", gradient, x, optimize=True))
        x_gradient: Array = gradient @ table
        return x_gradient

    return x @ table.T, backward


def softmax(x: Array, axis: int = -1) -> Array:
    """Compute ``exp(x) / sum(exp(x))`` along an axis, without overflow."""
    shares: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    shares /= shares.sum(axis=axis, keepdims=True)
    return shares


def attention_shares(
    q: Array,
    k: Array,
    scale: float,
    causal_offset: int | None = None,
    mask: Array | None = None,
    axis: int = -1,
) -> Array:
    """Compute the share of each key in each query's output, ``(..., queries, keys)``.

    ``q`` and ``k`` are ``(..., T, S)``. With a ``causal_offset`` of 0 a query attends to its own place and
    earlier ones, with 1 to the next one too. ``mask`` is added to the scores, or is True where they count.
    """
    scores = scale * q @ k.swapaxes(-1, -2)
    if causal_offset is not None:
        queries, keys = scores.shape[-2:]
        seen = np.tri(queries, keys, causal_offset, dtype=bool)
        scores = np.where(seen, scores, _MASKED)
    if mask is not None:
        scores = np.where(mask, scores, _MASKED) if mask.dtype == bool else scores + mask
    return softmax(scores, axis)


def attend(name: str, layer: SelfAttention, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Apply multi-head attention without dropout."""
    weights, width = made.weights, x.shape[-1]
    scale = 1 / np.sqrt(width / layer.heads)
    columns = np.arange(3 * width).reshape(3, layer.heads, -1)  # of queries, keys and values, (3, H, S)
    packed = x @ weights[f"{name}/qkv_kernel"] + weights[f"{name}/qkv_bias"]  # (B, T, 3W)
    q, k, v = (packed[..., own].transpose(0, 2, 1, 3) for own in columns)  # (B, H, T, S)
    shares = attention_shares(q, k, scale, 0 if layer.causal else None)  # (B, H, T, T)
    out_columns = np.arange(width).reshape(layer.heads, -1)  # (H, S)
    joined = np.zeros_like(x)
    joined[..., out_columns] = (shares @ v).transpose(0, 2, 1, 3)
    out = weights[f"{name}/output_kernel"]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        add(gradients, f"{name}/output_bias", gradient.sum(axis=(0, 1)))
        add(gradients, f"{name}/output_kernel", np.tensordot(joined, gradient, ((0, 1), (0, 1))))
        heads = (gradient @ out.T)[..., out_columns].transpose(0, 2, 1, 3)
        towards = heads @ v.swapaxes(2, 3)
        score_gradient = scale * shares * (towards - (towards * shares).sum(axis=-1, keepdims=True))
        parts = (score_gradient @ k, score_gradient.swapaxes(2, 3) @ q, shares.swapaxes(2, 3) @ heads)
        packed_gradient = np.zeros_like(packed)
        for own, part in zip(columns, parts, strict=True):
            packed_gradient[..., own] = part.transpose(0, 2, 1, 3)
        add(gradients, f"{name}/qkv_bias", packed_gradient.sum(axis=(0, 1)))
        add(gradients, f"{name}/qkv_kernel", np.tensordot(x, packed_gradient, ((0, 1), (0, 1))))
        x_gradient: Array = packed_gradient @ weights[f"{name}/qkv_kernel"].T
        return x_gradient

    return joined @ out + weights[f"{name}/output_bias"], backward
