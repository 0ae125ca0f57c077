"""Pooling and resizing."""

# ruff: noqa: ARG001  the parameters are those of torch

from typing import Any, Literal

from harness.tracing import semantics as kinds
from harness_torch.port.seen import Seen, Tensor, each_of, translates


def _window_padding(
    x: Tensor,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    *,
    ceil: bool,
) -> kinds.Padding:
    """Low and high of each axis; rounding up the number of windows adds to the high side.

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


@translates(
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool1d_with_indices",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
)
def max_pooling(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Seen | None:
    """Padding never is the maximum."""
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
def mean_pooling(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Seen | None:
    """What rounding up adds is never counted, so that it cannot be described beside padding that is."""
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


def _adaptive(function: Literal["max", "mean"], x: Tensor) -> Seen:
    def does(result: Tensor) -> kinds.AdaptivePooling:
        return kinds.AdaptivePooling(function=function, size=tuple(result.shape[2:]), channels_first=True)

    return Seen(does, [x])


@translates("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_mean(x: Tensor, output_size: Any) -> Seen:
    """Windows chosen for the size of the output."""
    return _adaptive("mean", x)


@translates(
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices",
)
def adaptive_max(x: Tensor, output_size: Any, return_indices: bool = False) -> Seen:
    """Windows chosen for the size of the output."""
    return _adaptive("max", x)


_METHODS: dict[str, Literal["nearest", "bilinear", "bicubic"]] = {
    "nearest": "nearest",
    "nearest-exact": "nearest",
    "linear": "bilinear",
    "bilinear": "bilinear",
    "trilinear": "bilinear",
    "bicubic": "bicubic",
}


@translates("interpolate")
def resizing(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Seen | None:
    """A scale that gives no whole number of positions moves the centres, which cannot be described."""
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
