"""Each kind of layer as a torch module: those of pictures, of sequences, recurrent ones, and the rest.

Pictures are ``(batch, C, H, W)`` in torch, sequences ``(batch, steps, features)`` as in the contract.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from harness import layers as kinds
from harness.layers import Shape
from harness_torch.attention import Attention, Positions

#: Height, width and channels: the axes of a layer's shape that is a picture.
PICTURE_AXES = 3


def is_picture(shape: Shape) -> bool:
    """Check that an array of this canonical shape has its channels on the first axis in torch."""
    return len(shape) == PICTURE_AXES


def torch_shape(shape: Shape) -> Shape:
    """Convert a canonical shape to torch's layout."""
    return (shape[-1], *shape[:-1]) if is_picture(shape) else shape


class FlattenChannelsLast(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``; a view if memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class UnflattenChannelsLast(nn.Module):
    """``(batch, H * W * C)`` to ``(batch, C, H, W)`` in channels-last memory; a view."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, self._shape).permute(0, 3, 1, 2)


class GlobalAverage(nn.Module):
    """The mean over ``axes``."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self._axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Average ``(batch, ..., channels)`` or ``(batch, C, H, W)`` to ``(batch, channels)``."""
        return x.mean(self._axes)


class PictureLinear(nn.Linear):
    """A dense layer of the channels of ``(batch, C, H, W)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, in, H, W)`` to ``(batch, out, H, W)``."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PictureLayerNorm(nn.LayerNorm):
    """Normalises each position of ``(batch, C, H, W)`` over its channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convolution(layer: kinds.Conv2D, shape: Shape) -> Iterator[nn.Module]:
    """Yield ``nn.Conv2d``, after a module that pads where the zeros before and after differ."""
    (top, bottom), (left, right) = (layer.same_padding(axis) for axis in shape[:2])
    symmetric = top == bottom and left == right
    if not symmetric:
        yield nn.ZeroPad2d((left, right, top, bottom))
    padding = (top, left) if symmetric else 0
    yield nn.Conv2d(shape[-1], layer.filters, layer.kernel_size, layer.strides, padding, bias=layer.bias)


class SequenceConv1d(nn.Conv1d):
    """``nn.Conv1d`` for ``(batch, steps, in)``; it pads itself where the zeros before and after differ."""

    def __init__(self, layer: kinds.Conv1D, shape: Shape) -> None:
        before, after = layer.same_padding(shape[0])
        padding = before if before == after else 0
        super().__init__(shape[-1], layer.filters, layer.kernel_size, layer.strides, padding, bias=layer.bias)
        self._zeros = None if before == after else (before, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``(batch, steps, in)`` to ``(batch, steps, filters)``."""
        x = x.transpose(1, 2)  # (batch, in, steps)
        if self._zeros:
            x = functional.pad(x, self._zeros)
        return super().forward(x).transpose(1, 2)


class PositionsBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of the last axis, for inputs that are no pictures."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``(batch, ..., channels)``, each position as a sample of its own."""
        return super().forward(x.flatten(0, -2)).view_as(x)


class PositionsGroupNorm(nn.GroupNorm):
    """Group normalisation of the last axis, for inputs that are no pictures."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``(batch, ..., channels)``; the shape stays."""
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class Recurrent(nn.Module):
    """``nn.GRU`` or ``nn.LSTM`` that returns its whole sequence or the last output of each direction."""

    def __init__(self, layer: kinds.GRU | kinds.LSTM, inputs: int) -> None:
        super().__init__()
        kind = nn.GRU if isinstance(layer, kinds.GRU) else nn.LSTM
        self.cell = kind(inputs, layer.units, batch_first=True, bidirectional=layer.bidirectional)
        self._sequences = layer.return_sequences
        if isinstance(layer, kinds.LSTM):
            # The canonical cell has one bias. torch adds two; the second one is fixed at zero.
            for name, parameter in self.cell.named_parameters():
                if name.startswith("bias_hh"):
                    nn.init.zeros_(parameter).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, steps, in)`` to ``(batch, steps, features)`` or ``(batch, features)``."""
        outputs, last = self.cell(x)
        if self._sequences:
            return outputs
        hidden = last[0] if isinstance(last, tuple) else last  # (directions, batch, units)
        return hidden.transpose(0, 1).flatten(1)


class Residual(nn.Module):
    """The sum of two branches."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.body(x)


class Skip(nn.Module):
    """The input beside the output of its body."""

    def __init__(self, body: nn.Module, channel_axis: int) -> None:
        super().__init__()
        self.body = body
        self._axis = channel_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], self._axis)


def activation(name: kinds.ActivationName, *, inplace: bool) -> nn.Module:
    """Return the module of an activation; ``inplace`` lets it overwrite an input that is not needed again."""
    modules: dict[str, Callable[[], nn.Module]] = {
        "relu": lambda: nn.ReLU(inplace),
        "leaky_relu": lambda: nn.LeakyReLU(kinds.LEAKY_RELU_SLOPE, inplace),
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "gelu": nn.GELU,
        "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
        "silu": nn.SiLU,
    }
    return modules[name]()


def plain_module(layer: kinds.Layer, shape: Shape) -> nn.Module:
    """Return the module for canonical inputs of ``shape``, without the layer's own activation."""
    return _MODULES[type(layer)](layer, shape)


def _transposed_convolution(layer: kinds.ConvTranspose2D, shape: Shape) -> nn.Module:
    return nn.ConvTranspose2d(shape[-1], layer.filters, layer.kernel_size, layer.strides, layer.crop)


def _global_average(_: kinds.GlobalAveragePool, shape: Shape) -> nn.Module:
    return GlobalAverage((2, 3) if is_picture(shape) else tuple(range(1, len(shape))))


def _dense(layer: kinds.Dense, shape: Shape) -> nn.Module:
    kind = PictureLinear if is_picture(shape) else nn.Linear
    return kind(shape[-1], layer.units, bias=layer.bias)


def _batch_norm(layer: kinds.BatchNorm, shape: Shape) -> nn.Module:
    kind = nn.BatchNorm2d if is_picture(shape) else PositionsBatchNorm
    return kind(shape[-1], layer.epsilon, layer.update_rate)


def _layer_norm(layer: kinds.LayerNorm, shape: Shape) -> nn.Module:
    kind = PictureLayerNorm if is_picture(shape) else nn.LayerNorm
    return kind(shape[-1], layer.epsilon)


def _group_norm(layer: kinds.GroupNorm, shape: Shape) -> nn.Module:
    kind = nn.GroupNorm if is_picture(shape) else PositionsGroupNorm
    return kind(layer.groups, shape[-1], layer.epsilon)


_MODULES: dict[type[kinds.Layer], Callable[[Any, Shape], nn.Module]] = {
    kinds.Conv1D: SequenceConv1d,
    kinds.ConvTranspose2D: _transposed_convolution,
    kinds.MaxPool2D: lambda layer, _: nn.MaxPool2d(layer.pool_size),
    kinds.AveragePool2D: lambda layer, _: nn.AvgPool2d(layer.pool_size),
    kinds.GlobalAveragePool: _global_average,
    kinds.UpSample2D: lambda layer, _: nn.Upsample(scale_factor=layer.factor),
    kinds.Dense: _dense,
    kinds.BatchNorm: _batch_norm,
    kinds.LayerNorm: _layer_norm,
    kinds.GroupNorm: _group_norm,
    kinds.PositionEmbedding: lambda layer, shape: Positions(layer.context, shape[-1]),
    kinds.SelfAttention: lambda layer, shape: Attention(layer, shape[-1]),
    kinds.Dropout: lambda layer, _: nn.Dropout(layer.rate),
    kinds.GRU: lambda layer, shape: Recurrent(layer, shape[-1]),
    kinds.LSTM: lambda layer, shape: Recurrent(layer, shape[-1]),
}
