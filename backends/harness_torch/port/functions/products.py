"""Products of matrices; those with a parameter are linear layers."""

from harness.tracing import semantics as kinds
from harness_torch.port.seen import Role, Seen, Tensor, roles, translates
from harness_torch.port.tracer import active

_MATRIX = 2


def _is_parameter(tensor: Tensor) -> bool:
    return active().recorder.part(tensor) is not None


@translates("matmul", "mm", "bmm", "rmatmul")
def product(x: Tensor, other: Tensor) -> Seen | None:
    """With a stored matrix on the right it is a linear layer."""
    if min(x.dim(), other.dim()) < _MATRIX:
        return None
    if other.dim() == _MATRIX and _is_parameter(other) and not _is_parameter(x):
        return Seen(kinds.Linear(), [x], roles(kernel=Role(other)))
    return Seen(kinds.MatrixProduct(), [x, other])


@translates("addmm")
def product_and_sum(x: Tensor, mat1: Tensor, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Seen | None:
    """``x + mat1 mat2``, a linear layer if ``x`` and ``mat2`` are parameters."""
    if beta != 1 or alpha != 1 or not _is_parameter(mat2) or not _is_parameter(x) or x.dim() != 1:
        return None
    return Seen(kinds.Linear(), [mat1], roles(kernel=Role(mat2), bias=x))
