"""Activations, softmax, arithmetic and reductions, and what is carried out with them."""

# ruff: noqa: ARG001  the parameters are those of torch

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from harness.tracing import semantics as kinds
from harness.tracing.functions import all_from_end, from_end
from harness_torch.port.seen import (
    TRANSLATORS,
    Seen,
    Tensor,
    Translator,
    rewrites,
    translates,
)
from harness_torch.port.tracer import active, require

#: Activations without options.
_ACTIVATIONS = (
    "abs cos exp hard_sigmoid hard_swish log mish negative relu relu6 rsqrt selu sigmoid silu sin sqrt "
    "square tanh"
)
#: Binary functions in the vocabulary, and those that take the second operand first.
_ARITHMETIC = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide", "pow": "power",
    "float_power": "power", "maximum": "maximum", "fmax": "maximum", "minimum": "minimum", "fmin": "minimum",
}  # fmt: skip
_REVERSED = {"rsub": "subtract", "rdiv": "divide", "rtruediv": "divide", "rpow": "power"}
_REDUCTIONS = {"mean": "mean", "sum": "sum", "amax": "max", "amin": "min"}


def _activation(function: str, parameter: str = "", default: float = 0.0) -> Translator:
    """Translate the activation ``function``, perhaps with a slope as ``parameter``."""

    def plain(x: Tensor) -> Seen:
        return Seen(kinds.Activation(function=function), [x])

    def sloped(x: Tensor, slope: float = default, **named: float) -> Seen | None:
        slope = float(named.pop(parameter, slope))
        return None if named else Seen(kinds.Activation(function=function, slope=slope), [x])

    return sloped if parameter else plain


@translates("gelu")
def _gelu(x: Tensor, approximate: str = "none") -> Seen:
    return Seen(kinds.Activation(function="gelu_tanh" if approximate == "tanh" else "gelu"), [x])


@translates("softplus")
def _softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Seen | None:
    """Translate the softplus of the default steepness."""
    return Seen(kinds.Activation(function="softplus"), [x]) if beta == 1 else None


def _limits(x: Tensor, low: float | None, high: float | None) -> Seen | None:
    if (low, high) in {(0.0, None), (0.0, 6.0)}:
        return Seen(kinds.Activation(function="relu" if high is None else "relu6"), [x])
    if high is None and low is not None:
        return Seen(kinds.Arithmetic(function="maximum", constant=low), [x])
    if low is None and high is not None:
        return Seen(kinds.Arithmetic(function="minimum", constant=high), [x])
    return None


@translates("clamp", "clamp_min")
def _clamp(x: Tensor, min: Any = None, max: Any = None) -> Seen | None:  # noqa: A002  torch's own names
    """Translate a single limit, or the limits of ReLU."""
    low, high = map(active().recorder.number, (min, max))
    if (low is None) != (min is None) or (high is None) != (max is None):
        return None
    return _limits(x, low, high)


@translates("clamp_max")
def _clamp_max(x: Tensor, max: Any) -> Seen | None:  # noqa: A002  torch's own name
    return _clamp(x, None, max)


@translates("hardtanh")
def _hard_tanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Seen | None:
    return _limits(x, float(min_val), float(max_val))


def _softmax(*, logarithm: bool) -> Translator:
    """Translate a softmax, or its logarithm, with the signature of ``torch.nn.functional``."""

    def translate(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Seen | None:
        if dim is None:
            return None
        return Seen(kinds.Softmax(axis=from_end(dim, x.dim()), logarithm=logarithm), [x])

    return translate


def _arithmetic(function: str, *, is_reversed: bool = False) -> Translator:
    """Translate a function of values and numbers, except a scaled operand or a rounded quotient."""

    def translate(x: Any, other: Any, alpha: float = 1, rounding_mode: str | None = None) -> Seen | None:
        if alpha != 1 or rounding_mode is not None:
            return None
        one, two = (other, x) if is_reversed else (x, other)
        left, right = map(active().recorder.number, (one, two))
        if right is not None and isinstance(one, Tensor):
            return Seen(kinds.Arithmetic(function=function, constant=right), [one])
        if left is not None and isinstance(two, Tensor):
            return Seen(kinds.Arithmetic(function=function, constant=left, constant_first=True), [two])
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            return Seen(kinds.Arithmetic(function=function), [one, two])
        return None

    return translate


@translates("reciprocal")
def _reciprocal(x: Tensor) -> Seen:
    return Seen(kinds.Arithmetic(function="divide", constant=1.0, constant_first=True), [x])


@translates("where")
def _selection(x: Tensor, *operands: Any) -> Seen | None:
    """Translate a selection of two values or numbers, called as ``where(condition, one, other)``."""
    if len(operands) != 2:  # noqa: PLR2004
        return None
    return Seen(kinds.Selection(), [x, *map(torch.as_tensor, operands)])


@translates("masked_fill")
def _filled(x: Tensor, mask: Tensor, value: Any) -> Seen:
    return Seen(kinds.Selection(), [mask, torch.as_tensor(value), x])


def _axes(x: Tensor, dim: Any) -> tuple[int, ...]:
    """Count axes from the end. None or an empty sequence: all axes."""
    return all_from_end(None if dim in ((), []) else dim, x.dim())


def _reduction(function: str, of_two: Translator | None = None) -> Translator:
    """Translate a reduction over axes; ``of_two`` translates functions of this name with two tensors."""

    def translate(
        x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None, other: Tensor | None = None
    ) -> Seen | None:
        if of_two is not None and (isinstance(dim, Tensor) or other is not None):
            return of_two(x, dim if other is None else other)
        return Seen(kinds.Reduction(function=function, axes=_axes(x, dim), keep=keepdim), [x])

    return translate


def _spread(function: str) -> Translator:
    """Translate a standard deviation or variance, divided by ``n - 1`` by default."""

    def translate(
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
        divisor = 1.0 if correction is None else float(correction)
        does = kinds.Reduction(function=function, axes=_axes(x, dim), keep=keepdim, correction=divisor)
        return Seen(does, [x])

    return translate


TRANSLATORS.update(
    {name: _activation(name) for name in _ACTIVATIONS.split()}
    | {name: _arithmetic(function) for name, function in _ARITHMETIC.items()}
    | {name: _arithmetic(function, is_reversed=True) for name, function in _REVERSED.items()}
    | {name: _reduction(function) for name, function in _REDUCTIONS.items()}
    | {
        "leaky_relu": _activation("leaky_relu", "negative_slope", 0.01),
        "elu": _activation("elu", "alpha", 1.0),
        "celu": _activation("celu", "alpha", 1.0),
        "softmax": _softmax(logarithm=False),
        "log_softmax": _softmax(logarithm=True),
        "max": _reduction("max", _arithmetic("maximum")),
        "min": _reduction("min", _arithmetic("minimum")),
        "var": _spread("variance"),
        "std": _spread("deviation"),
    }
)


# Functions that are carried out with others of the vocabulary.
#
# Each raises :class:`NotTranslated` for arguments that it does not cover.


_MATRIX = 2


@rewrites("clamp")
def _both_limits(x: Tensor, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002  torch's own names
    """Limit from below, then from above, unless one function of the vocabulary does both."""
    require(min is not None and max is not None and (min, max) != (0, 6))
    return torch.clamp(torch.clamp(x, min=min), max=max)


@rewrites("hardtanh")
def _any_hard_tanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    return _both_limits(x, min_val, max_val)


def _scaled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Rewrite a sum or difference whose second operand is scaled, so that the scaling comes first."""

    def rewritten(x: Tensor, other: Any, alpha: float = 1) -> Tensor:
        require(alpha != 1)
        return function(x, other * alpha)

    return rewritten


rewrites("add")(_scaled(torch.add))
rewrites("subtract")(_scaled(torch.sub))


@rewrites("matmul", "mv", "dot")
def _with_vector(x: Tensor, other: Tensor) -> Tensor:
    """Rewrite a vector as a matrix of one row or column."""
    require(min(x.dim(), other.dim()) < _MATRIX)
    one = x.unsqueeze(0) if x.dim() == 1 else x
    two = other.unsqueeze(1) if other.dim() == 1 else other
    result = one @ two
    result = result.squeeze(-1) if other.dim() == 1 else result
    return result.squeeze(-1 if other.dim() == 1 else -2) if x.dim() == 1 else result


@rewrites("copy")
def _copied(x: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    require(x.shape == src.shape)
    return src.clone()


@rewrites("norm", "vector_norm")
def _norm(x: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **named: Any) -> Tensor:
    order = named.get("ord", p)
    require(order in {2, "fro", None})
    return torch.sqrt(torch.sum(torch.square(x), dim=dim, keepdim=keepdim))


@rewrites("weight_norm")
def _weight_norm(x: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Compute ``g x / |x|``, the norm over all axes but ``dim``; over all axes for ``dim`` -1."""
    axes = [axis for axis in range(x.dim()) if axis != dim or dim == -1]
    return x * (g / torch.sqrt(torch.sum(torch.square(x), dim=axes, keepdim=True)))


@rewrites("prelu")
def _parametric_relu(x: Tensor, weight: Tensor) -> Tensor:
    slope = weight.reshape(-1, *[1] * (x.dim() - 2)) if weight.numel() > 1 else weight
    return functional.relu(x) + slope * torch.clamp(x, max=0)


@rewrites("glu")
def _gated(x: Tensor, dim: int = -1) -> Tensor:
    one, gate = torch.chunk(x, 2, dim)
    return one * torch.sigmoid(gate)


@rewrites("masked_fill")
def _masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Rewrite a constant mask with minus infinity as a sum."""
    require(not active().recorder.knows(mask) and float(value) == -math.inf)
    return x + torch.zeros(mask.shape).masked_fill(mask, -math.inf)


@rewrites("where")
def _where(x: Tensor, *operands: Any, **named: Any) -> Tensor:
    """Rewrite ``where(condition, one, other)`` with a constant condition and minus infinity as a sum."""
    require(len(operands) == 2 and not named)  # noqa: PLR2004
    one, other = operands
    live = active().recorder.knows
    number = (
        float(other) if not isinstance(other, Tensor) or (not live(other) and other.numel() == 1) else 0.0
    )
    require(not live(x) and isinstance(one, Tensor) and number == -math.inf)
    return one + torch.zeros(x.shape).masked_fill(~x, -math.inf)
