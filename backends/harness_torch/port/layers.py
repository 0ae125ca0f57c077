"""Linear layers, convolutions, embeddings, normalisations, pooling and resizing."""

# ruff: noqa: ARG001  the parameters are those of torch

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch.nn import functional

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import dilated, each_of, window_padding
from harness_torch.port.seen import Role, Seen, Tensor, Translator, rewrites_module, roles, translates
from harness_torch.port.tracer import active

# Linear layers, convolutions and embeddings.

TRANSPOSED = Stored("", axes=(1, 0))


@translates("linear")
def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Seen | None:
    """Translate a linear layer; weights are (outputs, inputs)."""
    if weight.dim() != 2:  # noqa: PLR2004
        return None
    return Seen(kinds.Linear(), [x], roles(kernel=Role(weight, TRANSPOSED), bias=bias))


@translates("conv1d", "conv2d", "conv3d")
def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Seen | None:
    """Translate a convolution; weights are (outputs, inputs / groups, *sizes)."""
    count = weight.dim() - 2
    if x.dim() != weight.dim():
        return None
    spread = each_of(dilation, count)
    does = kinds.Convolution(
        strides=each_of(stride, count),
        padding=_padding(padding, x.shape[2:], dilated(weight.shape[2:], spread)),
        dilation=spread,
        groups=groups,
        channels_first=True,
    )
    layout = Stored("", axes=(*range(2, count + 2), 1, 0))
    return Seen(does, [x], roles(kernel=Role(weight, layout), bias=bias))


def _padding(padding: Any, lengths: Any, windows: Any) -> kinds.Padding:
    """Return low and high padding of each axis; an odd ``same`` has one more on the high side."""
    if isinstance(padding, str):
        return window_padding(padding, lengths, windows, (1,) * len(windows))
    return tuple((each, each) for each in each_of(padding, len(windows)))


@translates("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Seen | None:
    """Translate a transposed convolution; weights are (inputs, outputs / groups, *sizes)."""
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
def _embedding(
    x: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Seen | None:
    """Translate an embedding; ``padding_idx`` changes gradients alone."""
    if max_norm is not None or not weight.dtype.is_floating_point:
        return None
    return Seen(kinds.Embedding(), [x], roles(table=weight))


_MATRIX = 2


def _is_parameter(tensor: Tensor) -> bool:
    return active().recorder.part(tensor) is not None


@translates("matmul", "mm", "bmm", "rmatmul")
def _product(x: Tensor, other: Tensor) -> Seen | None:
    """Translate a product; with a stored matrix on the right it is a linear layer."""
    if min(x.dim(), other.dim()) < _MATRIX:
        return None
    if other.dim() == _MATRIX and _is_parameter(other) and not _is_parameter(x):
        return Seen(kinds.Linear(), [x], roles(kernel=Role(other)))
    return Seen(kinds.MatrixProduct(), [x, other])


@translates("addmm")
def _product_and_sum(x: Tensor, mat1: Tensor, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Seen | None:
    """Translate ``x + mat1 mat2``, a linear layer if ``x`` and ``mat2`` are parameters."""
    if beta != 1 or alpha != 1 or not _is_parameter(mat2) or not _is_parameter(x) or x.dim() != 1:
        return None
    return Seen(kinds.Linear(), [mat1], roles(kernel=Role(mat2), bias=x))


# Normalisations.


@translates("batch_norm")
def _batch_normalization(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: Any = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Seen | None:
    """Translate ``torch.nn.functional.batch_norm``; ``torch.batch_norm`` has another order."""
    if isinstance(training, torch.Tensor) or isinstance(momentum, bool):
        return None
    does = kinds.BatchNormalization(
        epsilon=eps,
        momentum=momentum,
        unbiased_running_variance=True,
        training=training,
        channels_first=True,
    )
    return Seen(
        does,
        [x],
        roles(scale=weight, shift=bias, running_mean=running_mean, running_variance=running_var),
    )


@rewrites_module("FrozenBatchNorm2d")
def _frozen_batch_normalization(module: Any, x: Tensor) -> Tensor:
    """Rewrite the module of torchvision, whose parameters are buffers."""
    statistics = module.running_mean, module.running_var
    return functional.batch_norm(x, *statistics, module.weight, module.bias, eps=module.eps)


@translates("layer_norm")
def _layer_normalization(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Seen:
    does = kinds.LayerNormalization(epsilon=eps, axes=tuple(range(-len(normalized_shape), 0)))
    return Seen(does, [x], roles(scale=weight, shift=bias))


@translates("rms_norm")
def _rms_normalization(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Seen:
    """Translate an RMS normalisation; without ``eps`` it is the epsilon of the type."""
    epsilon = torch.finfo(x.dtype).eps if eps is None else eps
    axes = tuple(range(-len(normalized_shape), 0))
    return Seen(
        kinds.LayerNormalization(epsilon=epsilon, axes=axes, centered=False), [x], roles(scale=weight)
    )


@translates("group_norm")
def _group_normalization(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Seen:
    does = kinds.GroupNormalization(groups=num_groups, epsilon=eps, channels_first=True)
    return Seen(does, [x], roles(scale=weight, shift=bias))


@translates("instance_norm")
def _instance_normalization(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: Any = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Seen | None:
    """Translate to groups of one channel; with running statistics in evaluation to batch normalisation."""
    if isinstance(use_input_stats, torch.Tensor) or isinstance(momentum, bool):
        return None
    if use_input_stats:
        groups = kinds.GroupNormalization(groups=x.shape[1], epsilon=eps, channels_first=True)
        return Seen(groups, [x], roles(scale=weight, shift=bias))
    return _batch_normalization(x, running_mean, running_var, weight, bias, False, momentum, eps)


# Pooling and resizing.


_COUNTS = (1, 2, 3)


def _window_padding(
    x: Tensor,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    *,
    ceil: bool,
) -> kinds.Padding:
    """Return low and high padding of each axis; rounding up the number of windows adds to the high side.

    A window that would begin in the high padding is left out.
    """
    pairs = []
    for length, each, step, pad, spread in zip(x.shape[2:], size, strides, padding, dilation, strict=True):
        extent = spread * (each - 1) + 1
        count = (length + 2 * pad - extent) // step + 1
        if ceil and (length + 2 * pad - extent) % step and count * step < length + pad:
            count += 1
            pairs.append((pad, (count - 1) * step + extent - length - pad))
        else:
            pairs.append((pad, pad))
    return tuple(pairs)


@translates(*(f"max_pool{count}d{more}" for count in _COUNTS for more in ("", "_with_indices")))
def _max_pooling(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Seen | None:
    """Translate a pooling in which padding never is the maximum."""
    count = x.dim() - 2
    size, spread = each_of(kernel_size, count), each_of(dilation, count)
    if len(size) != count:
        return None
    strides = each_of(stride or size, count)
    does = kinds.Pooling(
        function="max",
        size=size,
        strides=strides,
        padding=_window_padding(x, size, strides, each_of(padding, count), spread, ceil=ceil_mode),
        dilation=() if set(spread) == {1} else spread,
        channels_first=True,
    )
    return Seen(does, [x])


@translates("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _mean_pooling(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Seen | None:
    """Translate a pooling; None if counted padding and windows added by rounding up, never counted, meet."""
    count = x.dim() - 2
    size = each_of(kernel_size, count)
    if divisor_override is not None or len(size) != count:
        return None
    strides, pads = each_of(stride or size, count), each_of(padding, count)
    pairs = _window_padding(x, size, strides, pads, (1,) * count, ceil=ceil_mode)
    counted = count_include_pad and any(pads)
    if counted and any(low != high for low, high in pairs):
        return None
    does = kinds.Pooling(
        function="mean",
        size=size,
        strides=strides,
        padding=pairs,
        counts_padding=counted,
        channels_first=True,
    )
    return Seen(does, [x])


def _adaptive(function: Literal["max", "mean"]) -> Translator:
    """Translate a pooling with windows chosen for the size of the output."""

    def translate(x: Tensor, output_size: Any, return_indices: bool = False) -> Seen:
        def does(result: Tensor) -> kinds.AdaptivePooling:
            return kinds.AdaptivePooling(function=function, size=tuple(result.shape[2:]), channels_first=True)

        return Seen(does, [x])

    return translate


for _count in _COUNTS:
    translates(f"adaptive_avg_pool{_count}d")(_adaptive("mean"))
    for _more in ("", "_with_indices"):
        translates(f"adaptive_max_pool{_count}d{_more}")(_adaptive("max"))


_METHODS: dict[str, Literal["nearest", "bilinear", "bicubic"]] = {
    "nearest": "nearest",
    "nearest-exact": "nearest",
    "linear": "bilinear",
    "bilinear": "bilinear",
    "trilinear": "bilinear",
    "bicubic": "bicubic",
}


@translates("interpolate")
def _resizing(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Seen | None:
    """Translate a resizing; None if a scale gives a fraction of a position, which moves the centres."""
    if mode not in _METHODS:
        return None
    if scale_factor is not None and not recompute_scale_factor:
        scales = scale_factor if isinstance(scale_factor, list | tuple) else [scale_factor] * (x.dim() - 2)
        if any(float(length * scale) % 1 for length, scale in zip(x.shape[2:], scales, strict=True)):
            return None

    def does(result: Tensor) -> kinds.Resize:
        return kinds.Resize(
            size=tuple(result.shape[2:]),
            method=_METHODS[mode],
            align_corners=bool(align_corners),
            half_pixel=mode != "nearest" and not align_corners,
            channels_first=True,
            coefficient=(-0.5 if antialias else -0.75) if mode == "bicubic" else None,
            antialias=antialias,
        )

    return Seen(does, [x])
