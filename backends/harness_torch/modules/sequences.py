"""Layers of sequences, which stay ``(batch, steps, features)`` between layers, and recurrent ones."""

import torch
from torch import nn
from torch.nn import functional

from harness.layers import GRU, LSTM, Conv1D, Shape


class SequenceConv1d(nn.Conv1d):
    """``nn.Conv1d`` for ``(batch, steps, in)``; it pads itself where the zeros before and after differ."""

    def __init__(self, layer: Conv1D, shape: Shape) -> None:
        before, after = layer.same_padding(shape[0])
        padding = before if before == after else 0
        super().__init__(shape[-1], layer.filters, layer.kernel_size, layer.strides, padding, bias=layer.bias)
        self._zeros = None if before == after else (before, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, steps, in)`` to ``(batch, steps, filters)``."""
        x = x.transpose(1, 2)  # (batch, in, steps)
        if self._zeros:
            x = functional.pad(x, self._zeros)
        return super().forward(x).transpose(1, 2)


class PositionsBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of the last axis, for inputs that are no pictures."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, ..., channels)``, each position a sample of its own."""
        return super().forward(x.flatten(0, -2)).view_as(x)


class Recurrent(nn.Module):
    """``nn.GRU`` or ``nn.LSTM`` that returns its whole sequence or the last output of each direction."""

    def __init__(self, layer: GRU | LSTM, inputs: int) -> None:
        super().__init__()
        kind = nn.GRU if isinstance(layer, GRU) else nn.LSTM
        self.cell = kind(inputs, layer.units, batch_first=True, bidirectional=layer.bidirectional)
        self._sequences = layer.return_sequences
        if isinstance(layer, LSTM):
            # The canonical cell has one bias. torch adds two; the second one is fixed at zero.
            for name, parameter in self.cell.named_parameters():
                if name.startswith("bias_hh"):
                    nn.init.zeros_(parameter).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, steps, in)`` to ``(batch, steps, features)`` or ``(batch, features)``."""
        outputs, last = self.cell(x)
        if self._sequences:
            return outputs
        hidden = last[0] if isinstance(last, tuple) else last  # (directions, batch, units)
        return hidden.transpose(0, 1).flatten(1)
