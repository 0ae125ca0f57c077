"""Functions that are carried out with others of the vocabulary.

Each raises :class:`NotTranslated` for arguments that it does not cover.
"""

# ruff: noqa: ARG001  the parameters are those of torch

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from harness_torch.port.seen import Tensor, from_start, rewrites
from harness_torch.port.tracer import NotTranslated, active

_MATRIX = 2


def _require(covered: bool) -> None:
    if not covered:
        raise NotTranslated


@rewrites("cat")
def single(x: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The only one that is not empty."""
    filled = [tensor for tensor in x if tensor.numel()]
    _require(len(filled) == 1)
    return filled[0].clone()


@rewrites("stack")
def stack(x: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Concatenation along a new axis."""
    single = [tensor.unsqueeze(dim) for tensor in x]
    return torch.cat(single, dim) if len(single) > 1 else single[0]


@rewrites("chunk")
def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Slices of equal length, the last one shorter."""
    return split(x, -(-x.shape[dim] // chunks), dim)


@rewrites("split", "split_with_sizes")
def split(x: Tensor, split_size: Any, dim: int = 0, **named: Any) -> tuple[Tensor, ...]:
    """Slices."""
    length = x.shape[dim]
    if isinstance(split_size, int):
        starts = range(0, length, split_size)
        sizes = [min(split_size, length - start) for start in starts]
    else:
        sizes = list(split_size)
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return tuple(x.narrow(dim, end - size, size) for size, end in zip(sizes, ends, strict=True))


@rewrites("unbind")
def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """One position after another."""
    return tuple(x.select(dim, index) for index in range(x.shape[dim]))


@rewrites("expand", "broadcast_to", "expand_as")
def expand(x: Tensor, *sizes: Any, **named: Any) -> Tensor:
    """Repetition along axes of length 1."""
    wanted = named.get("size", sizes)
    if len(wanted) == 1 and not isinstance(wanted[0], int):
        wanted = wanted[0].shape if isinstance(wanted[0], Tensor) else wanted[0]
    result = x.reshape((1,) * (len(wanted) - x.dim()) + tuple(x.shape))
    for axis, size in enumerate(wanted):
        if size not in {-1, result.shape[axis]}:
            result = torch.cat([result] * size, axis)
    return result


@rewrites("repeat", "tile")
def repeat(x: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """Repetition of whole axes."""
    counts = named.get("repeats", named.get("dims", repeats))
    if len(counts) == 1 and not isinstance(counts[0], int):
        counts = counts[0]
    counts = (1,) * (x.dim() - len(counts)) + tuple(counts)
    result = x.reshape((1,) * (len(counts) - x.dim()) + tuple(x.shape))
    for axis, count in enumerate(counts):
        if count != 1:
            result = torch.cat([result] * count, axis)
    return result


@rewrites("repeat_interleave")
def repeat_interleave(x: Tensor, repeats: Any, dim: int | None = None, **named: Any) -> Tensor:
    """Repetition of each position."""
    _require(isinstance(repeats, int) and dim is not None)
    axis = from_start(dim or 0, x.dim())
    result = torch.cat([x.unsqueeze(axis + 1)] * repeats, axis + 1)
    return result.flatten(axis, axis + 1)


@rewrites("roll")
def roll(x: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The end of an axis before its beginning."""
    _require(dims is not None)
    several = zip(shifts, dims, strict=True) if isinstance(dims, list | tuple) else [(shifts, dims)]
    for shift, axis in several:
        length = x.shape[axis]
        cut = -shift % length
        if cut:
            x = torch.cat([x.narrow(axis, cut, length - cut), x.narrow(axis, 0, cut)], axis)
    return x


@rewrites("clamp")
def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002  torch's own names
    """Limited from below, then from above, unless one function of the vocabulary does both."""
    _require(min is not None and max is not None and (min, max) != (0, 6))
    return torch.clamp(torch.clamp(x, min=min), max=max)


@rewrites("hardtanh")
def hard_tanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Limited from below, then from above."""
    return clamp(x, min_val, max_val)


@rewrites("add")
def scaled_add(x: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """The second operand is scaled first."""
    _require(alpha != 1)
    return torch.add(x, other * alpha)


@rewrites("subtract")
def scaled_subtract(x: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """The second operand is scaled first."""
    _require(alpha != 1)
    return torch.sub(x, other * alpha)


@rewrites("addcmul")
def add_product(x: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Tensor:
    """``x + value * tensor1 * tensor2``."""
    product = tensor1 * tensor2
    return x + (product if value == 1 else product * value)


@rewrites("lerp")
def interpolation(x: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``x + weight * (end - x)``."""
    return x + (end - x) * weight


@rewrites("addmm")
def sum_and_product(x: Tensor, mat1: Tensor, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    """A linear layer where it can be, else a product and a sum."""
    part = active().recorder.part
    _require(part(x) is None or part(mat2) is None or (beta, alpha) != (1, 1))
    product = mat1 @ mat2
    return (x if beta == 1 else x * beta) + (product if alpha == 1 else product * alpha)


@rewrites("baddbmm")
def sum_and_products(x: Tensor, batch1: Tensor, batch2: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * x + alpha * batch1 batch2``."""
    product = torch.bmm(batch1, batch2)
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return product + (x if beta == 1 else x * beta)


@rewrites("matmul", "mv", "dot")
def with_vector(x: Tensor, other: Tensor) -> Tensor:
    """A vector as a matrix of one row or column."""
    _require(min(x.dim(), other.dim()) < _MATRIX)
    one = x.unsqueeze(0) if x.dim() == 1 else x
    two = other.unsqueeze(1) if other.dim() == 1 else other
    result = one @ two
    result = result.squeeze(-1) if other.dim() == 1 else result
    return result.squeeze(-1 if other.dim() == 1 else -2) if x.dim() == 1 else result


@rewrites("var_mean")
def variance_and_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Both, one after the other."""
    return torch.var(x, *args, **kwargs), _mean_like(x, *args, **kwargs)


@rewrites("std_mean")
def deviation_and_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Both, one after the other."""
    return torch.std(x, *args, **kwargs), _mean_like(x, *args, **kwargs)


def _mean_like(x: Tensor, dim: Any = None, *_: Any, keepdim: bool = False, **__: Any) -> Tensor:
    return x.mean(dim=None if isinstance(dim, bool) else dim, keepdim=keepdim)


@rewrites("norm", "vector_norm")
def norm(x: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **named: Any) -> Tensor:
    """The root of the sum of squares."""
    order = named.get("ord", p)
    _require(order in {2, "fro", None})
    return torch.sqrt(torch.sum(torch.square(x), dim=dim, keepdim=keepdim))


@rewrites("weight_norm")
def weight_norm(x: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """``g x / |x|``, the norm over all axes but one; over all for axis -1."""
    axes = [axis for axis in range(x.dim()) if axis != dim or dim == -1]
    return x * (g / torch.sqrt(torch.sum(torch.square(x), dim=axes, keepdim=True)))


@rewrites("prelu")
def parametric_relu(x: Tensor, weight: Tensor) -> Tensor:
    """With a slope for each channel."""
    slope = weight.reshape(-1, *[1] * (x.dim() - 2)) if weight.numel() > 1 else weight
    return functional.relu(x) + slope * torch.clamp(x, max=0)


@rewrites("glu")
def gated(x: Tensor, dim: int = -1) -> Tensor:
    """One half gates the other."""
    one, gate = torch.chunk(x, 2, dim)
    return one * torch.sigmoid(gate)


@rewrites("logsigmoid", "log_sigmoid")
def log_sigmoid(x: Tensor) -> Tensor:
    """``-softplus(-x)``."""
    return -functional.softplus(-x)


@rewrites("softplus")
def steep_softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``softplus(beta x) / beta``."""
    _require(beta != 1)
    return functional.softplus(x * beta) / beta


@rewrites("pixel_shuffle")
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Channels to space: (B, C r r, H, W) to (B, C, H r, W r)."""
    _require(x.dim() == 4)  # noqa: PLR2004
    batch, channels, height, width = x.shape
    r = upscale_factor
    x = x.reshape(batch, channels // r**2, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, channels // r**2, height * r, width * r)


@rewrites("pixel_unshuffle")
def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """Space to channels: the inverse of :func:`pixel_shuffle`."""
    _require(x.dim() == 4)  # noqa: PLR2004
    batch, channels, height, width = x.shape
    r = downscale_factor
    x = x.reshape(batch, channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, channels * r**2, height // r, width // r)


@rewrites("channel_shuffle")
def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Channels of the groups in turn."""
    batch, channels, *rest = x.shape
    return x.reshape(batch, groups, channels // groups, *rest).transpose(1, 2).reshape(x.shape)


@rewrites("masked_fill")
def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A constant mask with minus infinity is a sum."""
    _require(not active().recorder.is_live(mask) and float(value) == -math.inf)
    return x + torch.zeros(mask.shape).masked_fill(mask, -math.inf)


@rewrites("where")
def where(x: Tensor, *operands: Any, **named: Any) -> Tensor:
    """A constant condition with minus infinity is a sum; called as ``where(condition, one, other)``."""
    _require(len(operands) == 2 and not named)  # noqa: PLR2004
    one, other = operands
    live = active().recorder.is_live
    number = (
        float(other) if not isinstance(other, Tensor) or (not live(other) and other.numel() == 1) else 0.0
    )
    _require(not live(x) and isinstance(one, Tensor) and number == -math.inf)
    return one + torch.zeros(x.shape).masked_fill(~x, -math.inf)
