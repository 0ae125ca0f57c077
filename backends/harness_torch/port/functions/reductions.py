"""Reductions over axes."""

# ruff: noqa: ARG001  the parameters are those of torch

from typing import Any

from harness.tracing import semantics as kinds
from harness_torch.port.functions.elementwise import maximum, minimum
from harness_torch.port.seen import TRANSLATORS, Seen, Tensor, from_end, translates


def _axes(x: Tensor, dim: Any) -> tuple[int, ...]:
    """The axes from the end; None and none mean all."""
    if dim is None or dim in ((), []):
        return tuple(range(-x.dim(), 0))
    axes = dim if isinstance(dim, list | tuple) else [dim]
    return tuple(sorted(from_end(axis, x.dim()) for axis in axes))


def _plain(function: str) -> Any:
    def translate(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Seen:
        return Seen(kinds.Reduction(function=function, axes=_axes(x, dim), keep=keepdim), [x])

    return translate


TRANSLATORS.update(
    {"mean": _plain("mean"), "sum": _plain("sum"), "amax": _plain("max"), "amin": _plain("min")}
)


@translates("max")
def largest(x: Tensor, dim: Any = None, keepdim: bool = False, other: Tensor | None = None) -> Seen | None:
    """Over an axis, over all, or of two tensors."""
    if isinstance(dim, Tensor) or other is not None:
        return maximum(x, dim if other is None else other)
    return Seen(kinds.Reduction(function="max", axes=_axes(x, dim), keep=keepdim), [x])


@translates("min")
def smallest(x: Tensor, dim: Any = None, keepdim: bool = False, other: Tensor | None = None) -> Seen | None:
    """Over an axis, over all, or of two tensors."""
    if isinstance(dim, Tensor) or other is not None:
        return minimum(x, dim if other is None else other)
    return Seen(kinds.Reduction(function="min", axes=_axes(x, dim), keep=keepdim), [x])


def _spread(
    function: str,
    x: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: float | None = None,
) -> Seen:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    correction = 1 if correction is None else correction
    does = kinds.Reduction(function=function, axes=_axes(x, dim), keep=keepdim, correction=float(correction))
    return Seen(does, [x])


@translates("var")
def variance(x: Tensor, *args: Any, **kwargs: Any) -> Seen:
    """Divided by ``n - 1`` unless it is said otherwise."""
    return _spread("variance", x, *args, **kwargs)


@translates("std")
def deviation(x: Tensor, *args: Any, **kwargs: Any) -> Seen:
    """Divided by ``n - 1`` unless it is said otherwise."""
    return _spread("deviation", x, *args, **kwargs)
