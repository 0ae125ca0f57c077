"""The layers of transformers."""

import torch
from torch import nn
from torch.nn import functional

from harness.layers import SelfAttention


class Positions(nn.Module):
    """Adds the first rows of a table to the positions of a sequence."""

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(context, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add positions to ``(batch, steps, width)``; the shape stays."""
        return x + self.table[: x.shape[1]]


class Attention(nn.Module):
    """Multi-head attention by ``scaled_dot_product_attention``, which chooses a fused kernel."""

    def __init__(self, layer: SelfAttention, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.dropout = layer.dropout
        self._heads = layer.heads
        self._causal = layer.causal

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply attention to ``(batch, steps, width)``; the shape stays."""
        # Three of (batch, heads, steps, size).
        q, k, v = (
            part.unflatten(-1, (self._heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        dropout = self.dropout if self.training else 0.0
        y = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=self._causal)
        return self.output(y.transpose(1, 2).flatten(2))


class Unembedding(nn.Module):
    """Logits by the table of an embedding, which remains the embedding's parameter."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(..., width)`` to ``(..., vocabulary)``."""
        return functional.linear(x, self.table)
