"""my_trees_layers.py: each kind of layer as a function of tensors in canonical layout."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from harness.backend_support.program import Apply, Call
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
    PositionEmbedding,
    SelfAttention,
    Unembedding,
)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, LEAKY_RELU_SLOPE),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}


def _dense(call: Call, x: Tensor) -> Tensor:
    y = x @ call.weights["kernel"]
    return y + call.weights["bias"] if call.layer.bias else y


def _convolution(call: Call, x: Tensor) -> Tensor:
    """Canonical layout has channels last and kernels (height, width, in, out)."""
    (top, bottom), (left, right) = (call.layer.same_padding(axis) for axis in call.shape[:2])
    pictures = functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    kernel = call.weights["kernel"].permute(3, 2, 0, 1)
    return functional.conv2d(pictures, kernel, call.weights.get("bias"), call.layer.strides).permute(
        0, 2, 3, 1
    )


def _max_pool(call: Call, x: Tensor) -> Tensor:
    return functional.max_pool2d(x.permute(0, 3, 1, 2), call.layer.pool_size).permute(0, 2, 3, 1)


def _dropped(call: Call, x: Tensor, rate: float) -> Tensor:
    """Each use in a step has its own seed, which follows from the plan's seed and the step."""
    if call.draws is None or not rate:
        return x
    generator = torch.Generator().manual_seed(call.draws.seed())
    kept = torch.rand(x.shape, generator=generator, dtype=x.dtype) >= rate
    return torch.where(kept, x / (1 - rate), 0.0)


def _layer_norm(call: Call, x: Tensor) -> Tensor:
    scale, bias = call.weights["scale"], call.weights["bias"]
    return functional.layer_norm(x, x.shape[-1:], scale, bias, call.layer.epsilon)


def _batch_norm(call: Call, x: Tensor) -> Tensor:
    """In training PyTorch updates the running statistics in place, with the unbiased variance."""
    statistics = {name: call.weights[name] for name in ("running_mean", "running_variance")}
    if call.draws is not None:
        statistics = {name: array.clone() for name, array in statistics.items()}
        call.state.update(statistics)
    y = functional.batch_norm(
        x.reshape(-1, x.shape[-1]),
        *statistics.values(),
        call.weights["scale"],
        call.weights["bias"],
        call.draws is not None,
        call.layer.update_rate,
        call.layer.epsilon,
    )
    return y.reshape(x.shape)


def _attention(call: Call, x: Tensor) -> Tensor:
    batch, steps, width = x.shape
    packed = x @ call.weights["qkv_kernel"] + call.weights["qkv_bias"]
    queries, keys, values = (
        part.reshape(batch, steps, call.layer.heads, -1).transpose(1, 2) for part in packed.split(width, -1)
    )  # (batch, heads, steps, size)
    scores = queries @ keys.transpose(2, 3) / (width // call.layer.heads) ** 0.5
    if call.layer.causal:
        scores = scores.masked_fill(torch.ones(steps, steps, dtype=torch.bool).triu(1), -torch.inf)
    attention = _dropped(call, scores.softmax(-1), call.layer.dropout)
    mixed = (attention @ values).transpose(1, 2).reshape(x.shape)
    return mixed @ call.weights["output_kernel"] + call.weights["output_bias"]


def _unembedding(call: Call, x: Tensor) -> Tensor:
    """The parameter is another layer's; autograd adds the gradients of both uses."""
    return x @ call.network[f"{call.layer.embedding}/table"].T


LAYERS: dict[type[Layer], Apply] = {
    Activation: lambda call, x: ACTIVATIONS[call.layer.function](x),
    BatchNorm: _batch_norm,
    Conv2D: _convolution,
    Dense: _dense,
    Dropout: lambda call, x: _dropped(call, x, call.layer.rate),
    Embedding: lambda call, x: functional.embedding(x, call.weights["table"]),
    Flatten: lambda _, x: x.flatten(1),
    GlobalAveragePool: lambda _, x: x.flatten(1, -2).mean(1),
    LayerNorm: _layer_norm,
    MaxPool2D: _max_pool,
    # A sequence that is shorter than the context uses the first rows.
    PositionEmbedding: lambda call, x: x + call.weights["table"][: x.shape[1]],
    SelfAttention: _attention,
    Unembedding: _unembedding,
}
