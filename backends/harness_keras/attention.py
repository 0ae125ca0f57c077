"""The layers of transformers that Keras lacks, or has in another form."""

import math
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.layers import SelfAttention as SelfAttentionSpec

Tensor = Any

#: Added to the scores of later positions, whose weights it makes exactly zero.
_MASKED = -1e30


class Embedding(keras.layers.Embedding):
    """Keras's Embedding, which also leads back to the vocabulary.

    Keras has ``ReversibleEmbedding`` since version 3.12; its product goes through float32 on PyTorch.
    """

    def call(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        """Map tokens ``(batch, steps)`` to rows; with ``reverse`` ``(..., width)`` to logits by the table."""
        if not reverse:
            return super().call(inputs)
        table = ops.cast(self.embeddings, self.compute_dtype)
        return ops.cast(inputs, self.compute_dtype) @ ops.transpose(table)

    def compute_output_spec(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        """Return the symbolic output, from which Keras learns its shape."""
        shape = (*inputs.shape[:-1], self.input_dim) if reverse else (*inputs.shape, self.output_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


class PositionEmbedding(keras.layers.Layer):
    """Adds the first rows of a table to a sequence, as KerasHub's layer of this name does."""

    def __init__(self, context: int, **options: Any) -> None:
        super().__init__(**options)
        self._context = context

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the table."""
        self.table = self.add_weight((self._context, input_shape[-1]), "zeros", name="table")

    def call(self, inputs: Tensor) -> Tensor:
        """Add positions to ``(batch, steps, width)``; the shape stays."""
        return inputs + ops.convert_to_tensor(self.table)[: inputs.shape[1]]


class SelfAttention(keras.layers.Layer):
    """Attention of a sequence to itself with one product for queries, keys and values.

    Keras's ``MultiHeadAttention`` makes three. What follows is the same: ``ops.dot_product_attention``, or
    its formula for dropout of the attention's weights, and in float64, where the operation computes in
    float32 except on TensorFlow.
    """

    def __init__(
        self,
        layer: SelfAttentionSpec,
        width: int,
        engine: ModuleType,
        weights: dict[str, Any],
        seed: int,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._heads, self._size, self._causal = layer.heads, width // layer.heads, layer.causal
        # A NumPy float, of which TensorFlow keeps all digits.
        self._scale = np.float64(1 / math.sqrt(self._size))
        self.qkv = engine.Dense(3 * width, name="qkv", **weights)
        self.project = engine.Dense(width, name="output", **weights)
        self.dropout = keras.layers.Dropout(layer.dropout, seed=seed) if layer.dropout else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of the two products."""
        self.qkv.build(input_shape)
        self.project.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Apply attention to ``(batch, steps, width)``; the shape stays."""
        _, steps, width = inputs.shape
        q, k, v = (
            ops.reshape(part, (-1, steps, self._heads, self._size))
            for part in ops.split(self.qkv(inputs), 3, axis=-1)
        )  # (batch, steps, heads, size)
        if self.compute_dtype == "float64" or (self.dropout and training):
            y = self._by_formula(q, k, v, training)
        else:
            y = ops.dot_product_attention(q, k, v, scale=self._scale, is_causal=self._causal)
        return self.project(ops.reshape(y, (-1, steps, width)))

    def _by_formula(self, q: Tensor, k: Tensor, v: Tensor, training: bool | None) -> Tensor:
        scores = ops.einsum("btnh,bsnh->bnts", q * ops.cast(self._scale, q.dtype), k)
        # The softmax of bfloat16 scores is computed in float32, as the operation does.
        scores = ops.cast(scores, self.variable_dtype)
        if self._causal:
            steps = q.shape[1]
            later = np.triu(np.full((steps, steps), _MASKED), 1)
            scores = scores + ops.cast(later, scores.dtype)
        weights = ops.cast(ops.softmax(scores, axis=-1), v.dtype)
        if self.dropout:
            weights = self.dropout(weights, training=training)
        return ops.einsum("bnts,bsnh->btnh", weights, v)

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        del training
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
