"""Layers of pictures, which are ``(batch, C, H, W)`` in torch, and the ways into and out of this layout."""

from collections.abc import Iterator

import torch
from torch import nn

from harness.layers import Conv2D, Shape

#: Height, width and channels: the axes of a layer's shape that is a picture.
PICTURE_AXES = 3


def is_picture(shape: Shape) -> bool:
    """Whether an array of this canonical shape has its channels on the first axis in torch."""
    return len(shape) == PICTURE_AXES


def torch_shape(shape: Shape) -> Shape:
    """A canonical shape in the layout that torch has for it."""
    return (shape[-1], *shape[:-1]) if is_picture(shape) else shape


class FlattenChannelsLast(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``; a view if memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flatten in canonical order."""
        return x.permute(0, 2, 3, 1).flatten(1)


class UnflattenChannelsLast(nn.Module):
    """``(batch, H * W * C)`` to ``(batch, C, H, W)`` in channels-last memory; a view."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Unflatten from canonical order."""
        return x.unflatten(1, self._shape).permute(0, 3, 1, 2)


class GlobalAverage(nn.Module):
    """The mean over ``axes``."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self._axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, ..., channels)`` or ``(batch, C, H, W)`` to ``(batch, channels)``."""
        return x.mean(self._axes)


class PictureLinear(nn.Linear):
    """A dense layer of the channels of ``(batch, C, H, W)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, in, H, W)`` to ``(batch, out, H, W)``."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PictureLayerNorm(nn.LayerNorm):
    """Normalises each position of ``(batch, C, H, W)`` over its channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convolution(layer: Conv2D, shape: Shape) -> Iterator[nn.Module]:
    """``nn.Conv2d``, after a module that pads where the zeros before and after differ."""
    (top, bottom), (left, right) = (layer.same_padding(axis) for axis in shape[:2])
    symmetric = top == bottom and left == right
    if not symmetric:
        yield nn.ZeroPad2d((left, right, top, bottom))
    padding = (top, left) if symmetric else 0
    yield nn.Conv2d(shape[-1], layer.filters, layer.kernel_size, layer.strides, padding, bias=layer.bias)
