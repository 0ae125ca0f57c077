"""Functions that rearrange elements, carried out with slices, concatenations and changes of shape."""

# ruff: noqa: ARG001  the parameters are those of torch

from collections.abc import Sequence
from typing import Any

import torch

from harness_torch.port.seen import Tensor, from_start, rewrites
from harness_torch.port.tracer import require


@rewrites("cat")
def single(x: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The only one that is not empty."""
    filled = [tensor for tensor in x if tensor.numel()]
    require(len(filled) == 1)
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
    require(isinstance(repeats, int) and dim is not None)
    axis = from_start(dim or 0, x.dim())
    result = torch.cat([x.unsqueeze(axis + 1)] * repeats, axis + 1)
    return result.flatten(axis, axis + 1)


@rewrites("roll")
def roll(x: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The end of an axis before its beginning."""
    require(dims is not None)
    several = zip(shifts, dims, strict=True) if isinstance(dims, list | tuple) else [(shifts, dims)]
    for shift, axis in several:
        length = x.shape[axis]
        cut = -shift % length
        if cut:
            x = torch.cat([x.narrow(axis, cut, length - cut), x.narrow(axis, 0, cut)], axis)
    return x


@rewrites("pixel_shuffle")
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Channels to space: (B, C r r, H, W) to (B, C, H r, W r)."""
    require(x.dim() == 4)  # noqa: PLR2004
    batch, channels, height, width = x.shape
    r = upscale_factor
    x = x.reshape(batch, channels // r**2, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, channels // r**2, height * r, width * r)


@rewrites("pixel_unshuffle")
def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """Space to channels: the inverse of :func:`pixel_shuffle`."""
    require(x.dim() == 4)  # noqa: PLR2004
    batch, channels, height, width = x.shape
    r = downscale_factor
    x = x.reshape(batch, channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, channels * r**2, height // r, width // r)


@rewrites("channel_shuffle")
def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Channels of the groups in turn."""
    batch, channels, *rest = x.shape
    return x.reshape(batch, groups, channels // groups, *rest).transpose(1, 2).reshape(x.shape)
