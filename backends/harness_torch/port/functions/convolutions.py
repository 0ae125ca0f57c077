"""Linear layers, convolutions and embeddings."""

# ruff: noqa: ARG001  the parameters are those of torch

from typing import Any

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_torch.port.seen import Role, Seen, Tensor, each_of, roles, translates

TRANSPOSED = Stored("", axes=(1, 0))


@translates("linear")
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Seen | None:
    """Weights are (outputs, inputs)."""
    if weight.dim() != 2:  # noqa: PLR2004
        return None
    return Seen(kinds.Linear(), [x], roles(kernel=Role(weight, TRANSPOSED), bias=bias))


@translates("conv1d", "conv2d", "conv3d")
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Seen | None:
    """Weights are (outputs, inputs / groups, *sizes)."""
    count = weight.dim() - 2
    if x.dim() != weight.dim():
        return None
    spread = each_of(dilation, count)
    does = kinds.Convolution(
        strides=each_of(stride, count),
        padding=_padding(padding, weight.shape[2:], spread),
        dilation=spread,
        groups=groups,
        channels_first=True,
    )
    layout = Stored("", axes=(*range(2, count + 2), 1, 0))
    return Seen(does, [x], roles(kernel=Role(weight, layout), bias=bias))


def _padding(padding: Any, sizes: Any, dilation: tuple[int, ...]) -> kinds.Padding:
    """Low and high of each axis; ``same`` has the odd one on the high side."""
    if padding == "valid":
        return tuple((0, 0) for _ in sizes)
    if padding == "same":
        totals = [spread * (size - 1) for size, spread in zip(sizes, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((each, each) for each in each_of(padding, len(sizes)))


@translates("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Seen | None:
    """Weights are (inputs, outputs / groups, *sizes)."""
    count = weight.dim() - 2
    if x.dim() != weight.dim():
        return None
    cut, more = each_of(padding, count), each_of(output_padding, count)
    does = kinds.Convolution(
        strides=each_of(stride, count),
        padding=tuple((low, low - extra) for low, extra in zip(cut, more, strict=True)),
        dilation=each_of(dilation, count),
        groups=groups,
        transposed=True,
        channels_first=True,
    )
    return Seen(does, [x], roles(kernel=Role(weight, _transposed_layout(weight, groups)), bias=bias))


def _transposed_layout(weight: Tensor, groups: int) -> Stored:
    inputs, outputs, *sizes = weight.shape
    spatial = range(2, 2 + len(sizes))
    if groups == 1:
        return Stored("", axes=(*spatial, 0, 1))
    return Stored(
        "",
        shape=(groups, inputs // groups, outputs, *sizes),
        axes=(*(axis + 1 for axis in spatial), 1, 0, 2),
        final_shape=(*sizes, inputs // groups, groups * outputs),
    )


@translates("embedding")
def embedding(
    x: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Seen | None:
    """``padding_idx`` changes gradients alone."""
    if max_norm is not None or not weight.dtype.is_floating_point:
        return None
    return Seen(kinds.Embedding(), [x], roles(table=weight))
