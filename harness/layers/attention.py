"""The layers of transformers: embeddings, self-attention, and the way back to the vocabulary."""

import math
from typing import ClassVar

from harness.layers.base import Initializer, Layer, Parameter, Shape

#: The standard deviation from which GPT-2 draws its weights (Radford et al. 2019).
_GPT2_DEVIATION = 0.02


class Embedding(Layer, frozen=True, tag="embedding"):
    """Tokens ``(steps,)``, integers from 0 to ``vocabulary - 1``, to the rows ``(steps, width)`` of a table.

    It must be the first layer of its network, whose inputs are then int64 tokens ``(batch, steps)``.

    Parameters: ``table (vocabulary, width)``, drawn by ``initializer``. The table is no kernel: penalties
    leave it out, and weight decay includes it only where the task has ``decay_embeddings``.
    """

    takes_axes: ClassVar[int | None] = 1
    vocabulary: int
    width: int
    initializer: Initializer = _GPT2_DEVIATION

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.width)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        table = Parameter(
            (self.vocabulary, self.width), self.initializer, fan_in=self.vocabulary, fan_out=self.width
        )
        return {"table": table}


class PositionEmbedding(Layer, frozen=True, tag="position_embedding"):
    """Adds row ``i`` of a table to position ``i`` of ``(steps, width)``, with at most ``context`` steps.

    Parameters: ``table (context, width)``, drawn by ``initializer``; as in :class:`Embedding` no kernel. A
    shorter sequence uses its first rows.
    """

    takes_axes: ClassVar[int | None] = 2
    context: int
    initializer: Initializer = _GPT2_DEVIATION

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] > self.context:
            raise ValueError(f"a sequence of {shape[0]} steps is longer than its context of {self.context}")
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        table = Parameter((self.context, shape[-1]), self.initializer, fan_in=self.context, fan_out=shape[-1])
        return {"table": table}


class SelfAttention(Layer, frozen=True, tag="self_attention"):
    """Multi-head attention of a sequence to itself (Vaswani et al. 2017, section 3.2): ``(steps, width)``.

    The ``3 * width`` columns of ``x @ qkv_kernel + qkv_bias`` are queries, keys and values in this order;
    each is cut into ``heads`` of ``size = width / heads`` consecutive columns. For each head::

        weights = softmax(q @ k.T / sqrt(size))    over the keys
        y = weights @ v

    The heads, side by side in order, are multiplied: ``y @ output_kernel + output_bias``. With ``causal`` a
    position attends to itself and to earlier ones only. ``dropout`` is the rate at which ``weights`` are
    dropped in training, as :class:`Dropout` does.

    Parameters: ``qkv_kernel (width, 3 * width)``, drawn by ``initializer``; ``output_kernel (width, width)``,
    drawn by ``output_initializer``; ``qkv_bias (3 * width,)`` and ``output_bias (width,)`` of zeros.
    """

    takes_axes: ClassVar[int | None] = 2
    heads: int
    causal: bool = False
    dropout: float = 0.0
    initializer: Initializer = "glorot_uniform"
    output_initializer: Initializer = "glorot_uniform"

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-1] % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the width of {shape[-1]}")
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        width = shape[-1]
        return {
            "qkv_kernel": Parameter((width, 3 * width), self.initializer, fan_in=width, fan_out=3 * width),
            "qkv_bias": Parameter((3 * width,), "zeros"),
            "output_kernel": Parameter((width, width), self.output_initializer, fan_in=width, fan_out=width),
            "output_bias": Parameter((width,), "zeros"),
        }

    def forward_flops(self, shape: Shape) -> int:
        """Count the FLOPs of the full products, for causal layers too (Chowdhery et al. 2022, B)."""
        steps, width = shape
        return 2 * (math.prod(shape) * 4 * width + 2 * steps * steps * width)


class Unembedding(Layer, frozen=True, tag="unembedding"):
    """Logits by the table of an :class:`Embedding`, ``x @ table.T`` without bias (Press and Wolf 2017).

    ``embedding`` is the name of that layer in the same network, ``vocabulary`` the number of its rows. The
    gradients of both uses add up; there is no parameter of its own.
    """

    vocabulary: int
    embedding: str = "embedding_1"

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.vocabulary)

    def forward_flops(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.vocabulary
