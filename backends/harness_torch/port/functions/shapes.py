"""Reshaping, transposition, concatenation and padding."""

# ruff: noqa: ARG001  the parameters are those of torch

from collections.abc import Sequence
from typing import Any

from harness.tracing import parts
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_torch.port.seen import Seen, Tensor, from_end, from_start, translates


def _reshaped(stored: Stored, result: Tensor) -> Stored | None:
    return parts.reshaped(stored, tuple(result.shape))


@translates(
    "reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel"
)
def reshaping(x: Tensor, *args: Any, **kwargs: Any) -> Seen | None:
    """The same elements in row-major order."""
    return Seen(lambda result: kinds.Reshape(shape=tuple(result.shape[1:])), [x], part=_reshaped)


def _transposed(x: Tensor, axes: Sequence[int]) -> Seen:
    order = tuple(from_start(int(axis), x.dim()) for axis in axes)
    return Seen(kinds.Transposition(axes=order), [x], part=lambda stored, _: parts.transposed(stored, order))


@translates("permute")
def permutation(x: Tensor, *dims: Any, **named: Any) -> Seen:
    """All axes in their new order."""
    given = named.get("dims", dims)
    return _transposed(x, given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given)


@translates("transpose")
def exchange(x: Tensor, dim0: int, dim1: int) -> Seen:
    """Two axes in each other's place."""
    axes = list(range(x.dim()))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return _transposed(x, axes)


@translates("t", "T", "H")
def reversal(x: Tensor) -> Seen:
    """All axes in reversed order."""
    return _transposed(x, range(x.dim())[::-1])


@translates("mT", "mH", "adjoint")
def matrix_transposition(x: Tensor) -> Seen:
    """The last two axes in each other's place."""
    return exchange(x, -2, -1)


@translates("movedim")
def moved(x: Tensor, source: Any, destination: Any) -> Seen:
    """Axes moved to other places, the rest in their order."""
    sources = [from_start(axis, x.dim()) for axis in _several(source)]
    targets = [from_start(axis, x.dim()) for axis in _several(destination)]
    rest = iter(axis for axis in range(x.dim()) if axis not in sources)
    at = dict(zip(targets, sources, strict=True))
    return _transposed(x, [at[place] if place in at else next(rest) for place in range(x.dim())])


def _several(value: Any) -> Sequence[int]:
    return value if isinstance(value, list | tuple) else [value]


@translates("cat")
def concatenation(x: Sequence[Tensor], dim: int = 0) -> Seen | None:
    """Values side by side; empty ones do not count."""
    tensors = [tensor for tensor in x if tensor.numel() or tensor.dim() > 1]
    return Seen(kinds.Concatenation(axis=from_end(dim, tensors[0].dim())), tensors)


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@translates("pad")
def border(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Seen | None:
    """Pairs begin with the last axis; negative ones, which cut, are not described."""
    if min(pad) < 0 or mode not in _MODES:
        return None
    pairs = [(int(low), int(high)) for low, high in zip(pad[::2], pad[1::2], strict=True)]
    padding = ((0, 0),) * (x.dim() - len(pairs)) + tuple(reversed(pairs))
    return Seen(kinds.Padded(padding=padding, mode=_MODES[mode], value=float(value or 0.0)), [x])
