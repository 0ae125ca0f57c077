"""Activations, softmax and arithmetic."""

# ruff: noqa: ARG001  the parameters are those of torch

from typing import Any

import torch

from harness.tracing import semantics as kinds
from harness_torch.port.seen import TRANSLATORS, Seen, Tensor, from_end, translates

_PLAIN = (
    "abs cos exp hard_sigmoid hard_swish log mish negative relu relu6 rsqrt selu sigmoid silu sin sqrt "
    "square tanh"
)


def _plain(name: str) -> Any:
    def translate(x: Tensor) -> Seen:
        return Seen(kinds.Activation(function=name), [x])

    return translate


TRANSLATORS.update({name: _plain(name) for name in _PLAIN.split()})


@translates("leaky_relu")
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Seen:
    """Its slope is that of negative numbers."""
    return Seen(kinds.Activation(function="leaky_relu", slope=float(negative_slope)), [x])


@translates("elu")
def elu(x: Tensor, alpha: float = 1.0) -> Seen:
    """Its slope is alpha."""
    return Seen(kinds.Activation(function="elu", slope=float(alpha)), [x])


@translates("celu")
def celu(x: Tensor, alpha: float = 1.0) -> Seen:
    """Its slope is alpha."""
    return Seen(kinds.Activation(function="celu", slope=float(alpha)), [x])


@translates("gelu")
def gelu(x: Tensor, approximate: str = "none") -> Seen:
    """Exact unless the approximation is asked for."""
    return Seen(kinds.Activation(function="gelu_tanh" if approximate == "tanh" else "gelu"), [x])


@translates("softplus")
def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Seen | None:
    """Of the default steepness."""
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
def clamp(x: Tensor, min: Any = None, max: Any = None) -> Seen | None:  # noqa: A002  torch's own names
    """One limit, or those of ReLU."""
    low, high = _number(min), _number(max)
    if (low is None) != (min is None) or (high is None) != (max is None):
        return None
    return _limits(x, low, high)


@translates("clamp_max")
def clamp_max(x: Tensor, max: Any) -> Seen | None:  # noqa: A002  torch's own name
    """A limit from above."""
    return clamp(x, None, max)


@translates("hardtanh")
def hard_tanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Seen | None:
    """With the limits of ReLU6 alone."""
    return _limits(x, float(min_val), float(max_val))


@translates("threshold")
def threshold(x: Tensor, threshold: float, value: float) -> Seen | None:
    """That of ReLU alone."""
    return _limits(x, 0.0, None) if threshold == value == 0 else None


@translates("softmax")
def softmax(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Seen | None:
    """The signature is that of ``torch.nn.functional``."""
    if dim is None:
        return None
    return Seen(kinds.Softmax(axis=from_end(dim, x.dim())), [x])


@translates("log_softmax")
def log_softmax(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Seen | None:
    """The signature is that of ``torch.nn.functional``."""
    if dim is None:
        return None
    return Seen(kinds.Softmax(axis=from_end(dim, x.dim()), logarithm=True), [x])


def _number(operand: Any) -> float | None:
    """The number that an operand is: a Python number, or a constant of one element without axes."""
    from harness_torch.port.tracer import active

    if isinstance(operand, Tensor):
        if operand.dim() or active().recorder.is_live(operand):
            return None
        return float(operand.item())
    return float(operand) if isinstance(operand, int | float) else None


def _arithmetic(function: str, one: Any, other: Any) -> Seen | None:
    left, right = _number(one), _number(other)
    if right is not None and isinstance(one, Tensor):
        return Seen(kinds.Arithmetic(function=function, constant=right), [one])
    if left is not None and isinstance(other, Tensor):
        return Seen(kinds.Arithmetic(function=function, constant=left, constant_first=True), [other])
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return Seen(kinds.Arithmetic(function=function), [one, other])
    return None


@translates("add")
def add(x: Any, other: Any, alpha: float = 1) -> Seen | None:
    """A scaled operand is rewritten."""
    return _arithmetic("add", x, other) if alpha == 1 else None


@translates("subtract")
def subtract(x: Any, other: Any, alpha: float = 1) -> Seen | None:
    """A scaled operand is rewritten."""
    return _arithmetic("subtract", x, other) if alpha == 1 else None


@translates("rsub")
def reversed_subtract(x: Any, other: Any, alpha: float = 1) -> Seen | None:
    """``other - x``."""
    return _arithmetic("subtract", other, x) if alpha == 1 else None


@translates("multiply")
def multiply(x: Any, other: Any) -> Seen | None:
    """A product."""
    return _arithmetic("multiply", x, other)


@translates("divide")
def divide(x: Any, other: Any, rounding_mode: str | None = None) -> Seen | None:
    """A quotient that is not rounded."""
    return _arithmetic("divide", x, other) if rounding_mode is None else None


@translates("rdiv", "rtruediv")
def reversed_divide(x: Any, other: Any) -> Seen | None:
    """``other / x``."""
    return _arithmetic("divide", other, x)


@translates("reciprocal")
def reciprocal(x: Tensor) -> Seen:
    """``1 / x``."""
    return Seen(kinds.Arithmetic(function="divide", constant=1.0, constant_first=True), [x])


@translates("pow", "float_power")
def power(x: Any, exponent: Any) -> Seen | None:
    """A power."""
    return _arithmetic("power", x, exponent)


@translates("rpow")
def reversed_power(x: Any, other: Any) -> Seen | None:
    """``other ** x``."""
    return _arithmetic("power", other, x)


@translates("maximum", "fmax")
def maximum(x: Tensor, other: Tensor) -> Seen | None:
    """The larger one."""
    return _arithmetic("maximum", x, other)


@translates("minimum", "fmin")
def minimum(x: Tensor, other: Tensor) -> Seen | None:
    """The smaller one."""
    return _arithmetic("minimum", x, other)


@translates("where")
def selection(x: Tensor, *operands: Any) -> Seen | None:
    """Of two values or numbers; called as ``where(condition, one, other)``."""
    if len(operands) != 2:  # noqa: PLR2004
        return None
    return Seen(kinds.Selection(), [x, *map(torch.as_tensor, operands)])


@translates("masked_fill")
def filled(x: Tensor, mask: Tensor, value: Any) -> Seen:
    """A number where the mask is true."""
    return Seen(kinds.Selection(), [mask, torch.as_tensor(value), x])
