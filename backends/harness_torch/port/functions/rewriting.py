"""Functions that are carried out with others of the vocabulary.

Each raises :class:`NotTranslated` for arguments that it does not cover.
"""

# ruff: noqa: ARG001  the parameters are those of torch

import math
from typing import Any

import torch
from torch.nn import functional

from harness_torch.port.seen import Tensor, from_start, rewrites
from harness_torch.port.tracer import active, require

_MATRIX = 2


@rewrites("clamp")
def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002  torch's own names
    """Limited from below, then from above, unless one function of the vocabulary does both."""
    require(min is not None and max is not None and (min, max) != (0, 6))
    return torch.clamp(torch.clamp(x, min=min), max=max)


@rewrites("hardtanh")
def hard_tanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Limited from below, then from above."""
    return clamp(x, min_val, max_val)


@rewrites("add")
def scaled_add(x: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """The second operand is scaled first."""
    require(alpha != 1)
    return torch.add(x, other * alpha)


@rewrites("subtract")
def scaled_subtract(x: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """The second operand is scaled first."""
    require(alpha != 1)
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
    require(part(x) is None or part(mat2) is None or (beta, alpha) != (1, 1))
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
    require(min(x.dim(), other.dim()) < _MATRIX)
    one = x.unsqueeze(0) if x.dim() == 1 else x
    two = other.unsqueeze(1) if other.dim() == 1 else other
    result = one @ two
    result = result.squeeze(-1) if other.dim() == 1 else result
    return result.squeeze(-1 if other.dim() == 1 else -2) if x.dim() == 1 else result


@rewrites("tensordot")
def tensor_product(x: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The last axes of one with the first axes of the other, as a product of matrices."""
    if not isinstance(dims, int):
        last, first = ([axis] if isinstance(axis, int) else list(axis) for axis in dims)
        count = len(last)
        require([from_start(axis, x.dim()) for axis in last] == list(range(x.dim() - count, x.dim())))
        require([from_start(axis, b.dim()) for axis in first] == list(range(count)))
        dims = count
    require(0 < dims < x.dim())
    shape, columns = x.shape[: x.dim() - dims], b.shape[dims:]
    product = x.reshape(*shape, -1) @ b.reshape(-1, columns.numel())
    return product.reshape(*shape, *columns)


@rewrites("cosine_similarity")
def cosine_similarity(x: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The product of both, each divided by its norm."""
    one, two = (each / torch.clamp(norm(each, dim=dim, keepdim=True), min=eps) for each in (x, x2))
    return torch.sum(one * two, dim=dim)


@rewrites("copy")
def copied(x: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """The elements of another one of the same shape."""
    require(x.shape == src.shape)
    return src.clone()


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
    require(order in {2, "fro", None})
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
    require(beta != 1)
    return functional.softplus(x * beta) / beta


@rewrites("masked_fill")
def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A constant mask with minus infinity is a sum."""
    require(not active().recorder.is_live(mask) and float(value) == -math.inf)
    return x + torch.zeros(mask.shape).masked_fill(mask, -math.inf)


@rewrites("where")
def where(x: Tensor, *operands: Any, **named: Any) -> Tensor:
    """A constant condition with minus infinity is a sum; called as ``where(condition, one, other)``."""
    require(len(operands) == 2 and not named)  # noqa: PLR2004
    one, other = operands
    live = active().recorder.is_live
    number = (
        float(other) if not isinstance(other, Tensor) or (not live(other) and other.numel() == 1) else 0.0
    )
    require(not live(x) and isinstance(one, Tensor) and number == -math.inf)
    return one + torch.zeros(x.shape).masked_fill(~x, -math.inf)
