"""my_trees_layers.py: each kind of layer as a function of tensors in canonical layout."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from harness.layers import (
    LEAKY_RELU_SLOPE,
    Activation,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MaxPool2D,
    PlacedLayer,
    PositionEmbedding,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
)

ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda x: x,
    "relu": torch.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, LEAKY_RELU_SLOPE),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}


class Call(NamedTuple):
    """One use of a layer: its place, all arrays of the network by their full names, and whether it trains."""

    place: PlacedLayer
    arrays: Mapping[str, Tensor]
    training: bool

    def own(self, name: str) -> Tensor:
        """The layer's own parameter or state of this name."""
        return self.arrays[f"model/{self.place.name}/{name}"]


def apply(
    places: tuple[PlacedLayer, ...], x: Tensor, arrays: Mapping[str, Tensor], *, training: bool
) -> Tensor:
    """Walk a tree by recursion; an empty sequence, such as most shortcuts, is the identity."""
    for place in places:
        branches = {
            name: apply(branch, x, arrays, training=training) for name, branch in place.branches.items()
        }
        match place.layer:
            case Residual():
                x = branches["body"] + branches["shortcut"]
            case Skip():
                x = torch.cat([x, branches["body"]], -1)
            case layer:
                x = FUNCTIONS[type(layer)](layer, x, Call(place, arrays, training))
    return x


def _dense(layer: Dense, x: Tensor, call: Call) -> Tensor:
    x = x @ call.own("kernel")
    return ACTIVATIONS[layer.activation](x + call.own("bias") if layer.bias else x)


def _convolution(layer: Conv2D, x: Tensor, call: Call) -> Tensor:
    (top, bottom), (left, right) = (layer.same_padding(axis) for axis in call.place.input_shape[:2])
    pictures = functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    kernel, bias = call.own("kernel").permute(3, 2, 0, 1), call.own("bias") if layer.bias else None
    x = functional.conv2d(pictures, kernel, bias, layer.strides).permute(0, 2, 3, 1)
    return ACTIVATIONS[layer.activation](x)


def _max_pool(layer: MaxPool2D, x: Tensor, _: Call) -> Tensor:
    return functional.max_pool2d(x.permute(0, 3, 1, 2), layer.pool_size).permute(0, 2, 3, 1)


def _layer_norm(layer: LayerNorm, x: Tensor, call: Call) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], call.own("scale"), call.own("bias"), layer.epsilon)


def _batch_norm(layer: BatchNorm, x: Tensor, call: Call) -> Tensor:
    """In training PyTorch updates the running statistics in place, with the unbiased variance."""
    normalized = functional.batch_norm(
        x.reshape(-1, x.shape[-1]),
        call.own("running_mean"),
        call.own("running_variance"),
        call.own("scale"),
        call.own("bias"),
        call.training,
        layer.update_rate,
        layer.epsilon,
    )
    return normalized.reshape(x.shape)


def _position_embedding(_: PositionEmbedding, x: Tensor, call: Call) -> Tensor:
    """A sequence that is shorter than the context uses the first rows."""
    return x + call.own("table")[: x.shape[1]]


def _attention(layer: SelfAttention, x: Tensor, call: Call) -> Tensor:
    batch, steps, width = x.shape
    packed = x @ call.own("qkv_kernel") + call.own("qkv_bias")
    queries, keys, values = (
        part.reshape(batch, steps, layer.heads, -1).transpose(1, 2) for part in packed.split(width, -1)
    )
    dropout = layer.dropout if call.training else 0.0
    mixed = functional.scaled_dot_product_attention(
        queries, keys, values, dropout_p=dropout, is_causal=layer.causal
    )
    return mixed.transpose(1, 2).reshape(x.shape) @ call.own("output_kernel") + call.own("output_bias")


def _unembedding(layer: Unembedding, x: Tensor, call: Call) -> Tensor:
    """The parameter is another layer's; autograd adds the gradients of both uses."""
    return x @ call.arrays[f"model/{layer.embedding}/table"].T


FUNCTIONS: dict[type[Layer], Callable[..., Tensor]] = {
    Activation: lambda layer, x, _: ACTIVATIONS[layer.function](x),
    BatchNorm: _batch_norm,
    Conv2D: _convolution,
    Dense: _dense,
    Dropout: lambda layer, x, call: functional.dropout(x, layer.rate, call.training),
    Embedding: lambda _, x, call: functional.embedding(x, call.own("table")),
    Flatten: lambda _, x, __: x.flatten(1),
    GlobalAveragePool: lambda _, x, __: x.flatten(1, -2).mean(1),
    LayerNorm: _layer_norm,
    MaxPool2D: _max_pool,
    PositionEmbedding: _position_embedding,
    SelfAttention: _attention,
    Unembedding: _unembedding,
}
