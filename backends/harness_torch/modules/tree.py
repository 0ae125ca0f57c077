"""Layers that contain layers."""

import torch
from torch import nn


class Residual(nn.Module):
    """The sum of two branches."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``shortcut(x) + body(x)``."""
        return self.shortcut(x) + self.body(x)


class Skip(nn.Module):
    """The input beside the output of its body."""

    def __init__(self, body: nn.Module, channel_axis: int) -> None:
        super().__init__()
        self.body = body
        self._axis = channel_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate along the axis of the channels."""
        return torch.cat([x, self.body(x)], self._axis)
