"""The layers of flax that are known, of nnx and of linen."""

from collections.abc import Callable
from typing import Any

from harness_jax.port import attention, layers, recurrent
from harness_jax.port.layers import Layer

#: The layers by the name of their class in flax, and of their method where it is not ``__call__``.
LAYERS: dict[str, Callable[[Layer], Any]] = {
    "Linear": layers.linear,
    "Dense": layers.linear,
    "LinearGeneral": layers.linear_general,
    "DenseGeneral": layers.linear_general,
    "Conv": layers.convolution,
    "ConvTranspose": layers.transposed_convolution,
    "BatchNorm": layers.batch_normalization,
    "LayerNorm": layers.layer_normalization,
    "RMSNorm": layers.root_mean_square_normalization,
    "GroupNorm": layers.group_normalization,
    "Embed": layers.embedding,
    "Embed.attend": layers.attend,
    "Dropout": layers.dropout,
    "MultiHeadAttention": attention.multi_head_attention,
    "RNN": recurrent.recurrent,
    # linen's own names
    "_Conv": layers.convolution,
    "MultiHeadDotProductAttention": attention.multi_head_attention,
    "SelfAttention": attention.multi_head_attention,
}
