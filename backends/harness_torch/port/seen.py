"""Torch's functions: their short names, the table of what each computes, and tensors as arrays.

Translators have the parameters of the function they stand for, the first one named ``x``, and return what the
call does; None where these arguments are beyond the vocabulary.
"""

# ruff: noqa: SLF001  torch has no public names for switching modes off

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from harness.tracing.calls import Stored
from harness.tracing.functions import entering
from harness.tracing.semantics import AnySemantics

# Short names: one for ``torch.add``, ``Tensor.add``, ``Tensor.add_`` and ``+``.

#: Names that mean the same function.
_SAME = {
    "absolute": "abs", "arcsinh": "asinh", "clip": "clamp", "concat": "cat", "concatenate": "cat",
    "div": "divide", "expit": "sigmoid", "floor_divide": "floordiv", "greater": "gt",
    "hardswish": "hard_swish", "hardsigmoid": "hard_sigmoid", "iadd": "add", "idiv": "divide",
    "imul": "multiply", "isub": "subtract", "itruediv": "divide", "less": "lt", "mul": "multiply",
    "neg": "negative", "moveaxis": "movedim", "radd": "add", "rmul": "multiply", "sub": "subtract",
    "swapaxes": "transpose", "swapdims": "transpose", "true_divide": "divide", "truediv": "divide",
}  # fmt: skip
_BELOW_GET = -2


@functools.lru_cache(maxsize=4096)
def full_name(function: Callable[..., Any]) -> str:
    """Return the name that users know: ``torch.nn.functional.relu``, ``torch.Tensor.add_``."""
    resolved = torch.overrides.resolve_name(function)
    return resolved or str(getattr(function, "__name__", function))


@functools.lru_cache(maxsize=4096)
def last_name(function: Callable[..., Any]) -> str:
    """Return the last part of the name, for a property its own name: ``add_``, ``__bool__``, ``shape``."""
    parts = full_name(function).split(".")
    return parts[_BELOW_GET] if parts[-1] == "__get__" and len(parts) > 1 else parts[-1]


@functools.lru_cache(maxsize=4096)
def short_name(function: Callable[..., Any]) -> str:
    """Return the last part without underscores, so that variants in place have the same name."""
    plain = last_name(function).strip("_")
    return _SAME.get(plain, plain)


def is_in_place(function: Callable[..., Any]) -> bool:
    """Check that a function writes its result into its first argument, as ``add_`` does."""
    last = last_name(function)
    return last.endswith("_") and not last.startswith("_")


# What is known of functions, by their short names.

Tensor = torch.Tensor
AS_STORED = Stored("")


class Role(NamedTuple):
    """A tensor that a function uses as parameter, and what makes the canonical array of it."""

    tensor: Tensor
    layout: Stored = AS_STORED


class Seen(NamedTuple):
    """What a call does.

    ``does`` may depend on the result. ``layout`` says of the result how it lies in the input if the call only
    rearranges it; see :meth:`harness.tracing.recorder.Recorder.defer`.
    """

    does: AnySemantics | Callable[[Tensor], AnySemantics]
    inputs: Sequence[Tensor]
    parameters: dict[str, Role] = {}  # noqa: RUF012  nobody writes into it
    layout: Stored | Callable[[Tensor], Stored | None] | None = None


Translator = Callable[..., Seen | None]

TRANSLATORS: dict[str, Translator] = {}
#: Functions that are carried out with others of the vocabulary.
REWRITTEN: dict[str, Callable[..., Any]] = {}
#: Modules whose call as a whole is known, by the name of their class; the function takes the module and its
#: arguments.
MODULES: dict[str, Callable[..., Any]] = {}
#: Functions whose result has the elements of the first argument in the same shape.
IDENTITIES = frozenset({
    "alias", "as_subclass", "clone", "contiguous", "cpu", "data", "detach", "double", "positive", "to",
    "type", "type_as",
})  # fmt: skip
#: Functions whose result depends on the shape and type of their arguments alone.
FACTORIES = frozenset({
    "arange", "empty", "eye", "full", "ones", "rand", "randn", "zeros", "empty_like", "full_like",
    "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros", "ones_like", "rand_like",
    "randint_like", "randn_like", "zeros_like",
})  # fmt: skip
#: Functions that ask for a property and give no tensor, by the last part of their names.
QUERIES = frozenset({
    "__bool__", "__float__", "__format__", "__hash__", "__index__", "__int__", "__len__", "__repr__",
    "_version", "allclose", "device", "dim", "dtype", "element_size", "equal", "get_device", "grad",
    "grad_fn", "item", "itemsize", "layout", "names", "ndim", "ndimension", "nelement", "numel",
    "numpy", "requires_grad", "requires_grad_", "shape", "size", "storage_offset", "stride", "tolist",
})  # fmt: skip


#: Enters a translator for functions of these short names.
translates = entering(TRANSLATORS)
#: Enters a function that carries out those of these short names.
rewrites = entering(REWRITTEN)
#: Enters a function that carries out modules of a class, unless a subclass has its own ``forward``.
rewrites_module = entering(MODULES)


def roles(**tensors: Role | Tensor | None) -> dict[str, Role]:
    """Return the roles that are not None."""
    return {
        name: role if isinstance(role, Role) else Role(role)
        for name, role in tensors.items()
        if role is not None
    }


def from_start(axis: int, dimensions: int) -> int:
    """Count an axis from the start."""
    return axis if axis >= 0 else axis + dimensions


# Tensors as arrays, and arrays in the place of tensors.


def laid_out(role: Role) -> Tensor:
    """Arrange the tensor of a role in canonical form."""
    tensor, layout = role
    if layout.axis is not None:
        tensor = tensor.narrow(layout.axis, layout.start, layout.stop - layout.start)
    if layout.shape is not None:
        tensor = tensor.reshape(layout.shape)
    if layout.axes is not None:
        tensor = tensor.permute(layout.axes)
    return tensor if layout.final_shape is None else tensor.reshape(layout.final_shape)


def shared_array(tensor: Tensor) -> np.ndarray:
    """Return the numbers of a tensor, in the same memory."""
    with torch._C.DisableTorchFunction():
        tensor = tensor.detach()
        numbers: np.ndarray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return numbers
