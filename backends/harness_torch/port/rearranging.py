"""Parts, shapes and orders of elements, and what is carried out with them."""

# ruff: noqa: ARG001  the parameters are those of torch

from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import Library, contracted, from_end, product, sliced, span
from harness_torch.port.seen import (
    REWRITTEN,
    TRANSLATORS,
    Seen,
    Tensor,
    Translator,
    from_start,
    rewrites,
    roles,
    translates,
)
from harness_torch.port.tracer import NotTranslated, active, require

# Reshaping, transposition, concatenation and padding.


@translates(
    "reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel"
)
def _reshaping(x: Tensor, *args: Any, **kwargs: Any) -> Seen | None:
    return Seen(
        lambda result: kinds.Reshape(shape=tuple(result.shape[1:])),
        [x],
        layout=lambda result: Stored("", shape=tuple(result.shape)),
    )


def _reversed(x: Tensor) -> Tensor:
    return x.permute(tuple(range(x.dim()))[::-1])


#: Functions that put axes into another order.
_TRANSPOSITIONS: dict[str, Callable[..., Tensor]] = {
    "permute": Tensor.permute,
    "transpose": Tensor.transpose,
    "movedim": Tensor.movedim,
    **dict.fromkeys(("t", "T", "H"), _reversed),
    **dict.fromkeys(("mT", "mH", "adjoint"), lambda x: x.transpose(-2, -1)),
}


def _transposition(function: Callable[..., Tensor]) -> Translator:
    """Translate a transposition, read from its effect on a tensor with another length on each axis."""

    def translate(x: Tensor, *args: Any, **named: Any) -> Seen:
        marked = torch.empty(tuple(range(2, 2 + x.dim())), device="meta")
        order = tuple(length - 2 for length in function(marked, *args, **named).shape)
        does = kinds.Transposition(axes=order)
        return Seen(does, [x], layout=Stored("", axes=order))

    return translate


TRANSLATORS.update({name: _transposition(function) for name, function in _TRANSPOSITIONS.items()})


@translates("cat")
def _concatenation(x: Sequence[Tensor], dim: int = 0) -> Seen | None:
    """Translate a concatenation; empty tensors do not count."""
    tensors = [tensor for tensor in x if tensor.numel() or tensor.dim() > 1]
    return Seen(kinds.Concatenation(axis=from_end(dim, tensors[0].dim())), tensors)


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@translates("pad")
def _border(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Seen | None:
    """Translate padding, in pairs from the last axis on, except negative pairs, which cut."""
    if min(pad) < 0 or mode not in _MODES:
        return None
    pairs = [(int(low), int(high)) for low, high in zip(pad[::2], pad[1::2], strict=True)]
    padding = ((0, 0),) * (x.dim() - len(pairs)) + tuple(reversed(pairs))
    return Seen(kinds.Padded(padding=padding, mode=_MODES[mode], value=float(value or 0.0)), [x])


# Parts of tensors: indexing, narrowing and selecting.

_MATRIX = 2


@translates("narrow")
def _narrowed(x: Tensor, dim: int, start: int, length: int) -> Seen:
    start = from_start(int(start), x.shape[dim])
    return _sliced(x, {dim: slice(start, start + length)})


@translates("select")
def _selected(x: Tensor, dim: int, index: int) -> Seen:
    return _sliced(x, {dim: int(index)})


@translates("flip")
def _flipped(x: Tensor, *dims: Any) -> Seen:
    axes = dims[0] if len(dims) == 1 and isinstance(dims[0], list | tuple) else dims
    return _sliced(x, dict.fromkeys(axes, slice(None, None, -1)))


@translates("getitem")
def _indexed(x: Tensor, index: Any) -> Seen | None:
    """Translate an index of numbers and slices; a table that is a parameter is read by integers."""
    whole = index if isinstance(index, tuple) else (index,)
    if isinstance(index, Tensor) and not index.dtype.is_floating_point and index.dim():
        return _rows(x, index) or _gathered(x, (index,))
    if (gathered := _gathered(x, whole)) is not None:
        return gathered
    if any(each is not None and not isinstance(each, int | slice | type(...)) for each in whole):
        return None
    if any(isinstance(each, bool) for each in whole):
        return None
    if None in whole:
        plain = all(each is None or each is ... or each == slice(None) for each in whole)
        return _reshaping(x) if plain else None
    return _sliced(x, _places(whole))


@translates("index_select")
def _taken(x: Tensor, dim: int, index: Tensor) -> Seen:
    return Seen(kinds.Gather(axis=from_end(dim, x.dim())), [x, index])


def _gathered(x: Tensor, whole: tuple[Any, ...]) -> Seen | None:
    """Read an index of integers along one axis that takes all of the other axes."""
    tensors = [place for place, each in enumerate(whole) if isinstance(each, Tensor)]
    others = [each for each in whole if not isinstance(each, Tensor)]
    if len(tensors) != 1 or any(each is not ... and each != slice(None) for each in others):
        return None
    place, index = tensors[0], whole[tensors[0]]
    if index.dtype.is_floating_point or index.dtype.itemsize == 1 or not index.dim():
        return None
    return Seen(
        kinds.Gather(axis=place - len(whole) if ... in whole[:place] else place - x.dim()), [x, index]
    )


def _rows(x: Tensor, index: Tensor) -> Seen | None:
    if index.dtype.itemsize == 1 or x.dim() != _MATRIX or active().recorder.part(x) is None:
        return None
    return Seen(kinds.Embedding(), [index], roles(table=x))


def _places(index: tuple[Any, ...]) -> dict[int, slice | int]:
    """Return the parts of an index by their axes; axes after an ellipsis are counted from the end."""
    before = index.index(...) if ... in index else len(index)
    return dict(enumerate(index[:before])) | {
        place - len(index): each for place, each in enumerate(index) if place > before
    }


def _sliced(x: Tensor, places: dict[int, slice | int]) -> Seen:
    by_axis = {from_start(axis, x.dim()): each for axis, each in places.items()}
    cut = {
        axis: each
        for axis, each in by_axis.items()
        if isinstance(each, int) or each.indices(x.shape[axis]) != (0, x.shape[axis], 1)
    }
    texts = [":"] * (max(cut, default=-1) + 1)
    for axis, index in cut.items():
        texts[axis] = str(index) if isinstance(index, int) else span(index, x.shape[axis])

    def layout(result: Tensor) -> Stored | None:
        if len(cut) != 1:
            return None
        ((axis, index),) = cut.items()
        if isinstance(index, int):
            start = from_start(index, x.shape[axis])
            return Stored("", axis=axis, start=start, stop=start + 1, shape=tuple(result.shape))
        start, stop, step = index.indices(x.shape[axis])
        return Stored("", axis=axis, start=start, stop=stop) if step == 1 else None

    return Seen(sliced(texts), [x], layout=layout)


# Functions that rearrange elements, carried out with slices, concatenations and changes of shape.


@rewrites("cat")
def _single(x: Sequence[Tensor], dim: int = 0) -> Tensor:
    filled = [tensor for tensor in x if tensor.numel()]
    require(len(filled) == 1)
    return filled[0].clone()


@rewrites("stack")
def _stack(x: Sequence[Tensor], dim: int = 0) -> Tensor:
    single = [tensor.unsqueeze(dim) for tensor in x]
    return torch.cat(single, dim) if len(single) > 1 else single[0]


@rewrites("split", "split_with_sizes")
def _split(x: Tensor, split_size: Any, dim: int = 0, **named: Any) -> tuple[Tensor, ...]:
    length = x.shape[dim]
    if isinstance(split_size, int):
        starts = range(0, length, split_size)
        sizes = [min(split_size, length - start) for start in starts]
    else:
        sizes = list(split_size)
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return tuple(x.narrow(dim, end - size, size) for size, end in zip(sizes, ends, strict=True))


def _repeated(x: Tensor, counts: Sequence[int]) -> Tensor:
    """Repeat whole axes by ``counts``, aligned with the last axes."""
    result = x.reshape((1,) * (len(counts) - x.dim()) + tuple(x.shape))
    for axis, count in enumerate(counts):
        if count != 1:
            result = torch.cat([result] * count, axis)
    return result


@rewrites("expand", "broadcast_to", "expand_as")
def _expand(x: Tensor, *sizes: Any, **named: Any) -> Tensor:
    wanted = named.get("size", sizes)
    if len(wanted) == 1 and not isinstance(wanted[0], int):
        wanted = wanted[0].shape if isinstance(wanted[0], Tensor) else wanted[0]
    own = (1,) * (len(wanted) - x.dim()) + tuple(x.shape)
    return _repeated(x, [1 if size in {-1, had} else size for size, had in zip(wanted, own, strict=True)])


@rewrites("repeat", "tile")
def _repeat(x: Tensor, *repeats: Any, **named: Any) -> Tensor:
    counts = named.get("repeats", named.get("dims", repeats))
    if len(counts) == 1 and not isinstance(counts[0], int):
        counts = counts[0]
    return _repeated(x, (1,) * (x.dim() - len(counts)) + tuple(counts))


@rewrites("repeat_interleave")
def _repeat_interleave(x: Tensor, repeats: Any, dim: int | None = None, **named: Any) -> Tensor:
    require(isinstance(repeats, int) and dim is not None)
    axis = from_start(dim or 0, x.dim())
    result = torch.cat([x.unsqueeze(axis + 1)] * repeats, axis + 1)
    return result.flatten(axis, axis + 1)


@rewrites("roll")
def _roll(x: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    require(dims is not None)
    several = zip(shifts, dims, strict=True) if isinstance(dims, list | tuple) else [(shifts, dims)]
    for shift, axis in several:
        length = x.shape[axis]
        cut = -shift % length
        if cut:
            x = torch.cat([x.narrow(axis, cut, length - cut), x.narrow(axis, 0, cut)], axis)
    return x


@rewrites("pixel_shuffle")
def _pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Move channels to space: (B, C r r, H, W) to (B, C, H r, W r)."""
    require(x.dim() == 4)  # noqa: PLR2004
    batch, channels, height, width = x.shape
    r = upscale_factor
    x = x.reshape(batch, channels // r**2, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, channels // r**2, height * r, width * r)


REWRITTEN.update(
    {
        "chunk": lambda x, chunks, dim=0: _split(x, -(-x.shape[dim] // chunks), dim),
        "unbind": lambda x, dim=0: tuple(x.select(dim, index) for index in range(x.shape[dim])),
    }
)


# Einstein sums of two operands as transpositions and products of matrices.


@rewrites("einsum")
def _einsum(x: Any, *operands: Any) -> Any:
    """Rewrite ``einsum(equation, one, other)``, except equations without output or with repeated axes."""
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    letters = product(x, [each.shape for each in tensors]) if isinstance(x, str) else None
    if letters is None:
        raise NotTranslated
    library = Library(torch.permute, torch.reshape, torch.matmul)
    return contracted(letters, tensors, library, lambda each: active().recorder.part(each) is not None)
