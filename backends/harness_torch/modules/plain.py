"""The module of each kind of layer that depends on nothing but its input."""

from collections.abc import Callable
from typing import Any

from torch import nn

from harness.layers import (
    GRU,
    LEAKY_RELU_SLOPE,
    LSTM,
    ActivationName,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    ConvTranspose2D,
    Dense,
    Dropout,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MaxPool2D,
    PositionEmbedding,
    SelfAttention,
    Shape,
    UpSample2D,
)
from harness_torch.modules.attention import Attention, Positions
from harness_torch.modules.pictures import GlobalAverage, PictureLayerNorm, PictureLinear, is_picture
from harness_torch.modules.sequences import PositionsBatchNorm, Recurrent, SequenceConv1d


def activation(name: ActivationName, *, inplace: bool) -> nn.Module:
    """``inplace``: the input is not needed any more, and may be overwritten."""
    modules: dict[str, Callable[[], nn.Module]] = {
        "relu": lambda: nn.ReLU(inplace),
        "leaky_relu": lambda: nn.LeakyReLU(LEAKY_RELU_SLOPE, inplace),
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "gelu": nn.GELU,
        "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
        "silu": nn.SiLU,
    }
    return modules[name]()


def plain_module(layer: Layer, shape: Shape) -> nn.Module:
    """The module for canonical inputs of ``shape``, without the layer's own activation."""
    return _MODULES[type(layer)](layer, shape)


def _transposed_convolution(layer: ConvTranspose2D, shape: Shape) -> nn.Module:
    return nn.ConvTranspose2d(shape[-1], layer.filters, layer.kernel_size, layer.strides, layer.crop)


def _global_average(_: GlobalAveragePool, shape: Shape) -> nn.Module:
    return GlobalAverage((2, 3) if is_picture(shape) else tuple(range(1, len(shape))))


def _dense(layer: Dense, shape: Shape) -> nn.Module:
    kind = PictureLinear if is_picture(shape) else nn.Linear
    return kind(shape[-1], layer.units, bias=layer.bias)


def _batch_norm(layer: BatchNorm, shape: Shape) -> nn.Module:
    kind = nn.BatchNorm2d if is_picture(shape) else PositionsBatchNorm
    return kind(shape[-1], layer.epsilon, layer.update_rate)


def _layer_norm(layer: LayerNorm, shape: Shape) -> nn.Module:
    kind = PictureLayerNorm if is_picture(shape) else nn.LayerNorm
    return kind(shape[-1], layer.epsilon)


_MODULES: dict[type[Layer], Callable[[Any, Shape], nn.Module]] = {
    Conv1D: SequenceConv1d,
    ConvTranspose2D: _transposed_convolution,
    MaxPool2D: lambda layer, _: nn.MaxPool2d(layer.pool_size),
    AveragePool2D: lambda layer, _: nn.AvgPool2d(layer.pool_size),
    GlobalAveragePool: _global_average,
    UpSample2D: lambda layer, _: nn.Upsample(scale_factor=layer.factor),
    Dense: _dense,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    PositionEmbedding: lambda layer, shape: Positions(layer.context, shape[-1]),
    SelfAttention: lambda layer, shape: Attention(layer, shape[-1]),
    Dropout: lambda layer, _: nn.Dropout(layer.rate),
    GRU: lambda layer, shape: Recurrent(layer, shape[-1]),
    LSTM: lambda layer, shape: Recurrent(layer, shape[-1]),
}
