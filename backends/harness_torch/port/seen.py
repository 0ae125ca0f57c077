"""The table of known functions: what each computes, by its short name.

Translators have the parameters of the function they stand for, the first one named ``x``, and return what the
call does; None where these arguments are beyond the vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from harness.tracing.calls import Stored
from harness.tracing.semantics import AnySemantics

Tensor = torch.Tensor
AS_STORED = Stored("")


class Role(NamedTuple):
    """A tensor that a function uses as parameter, and what makes the canonical array of it."""

    tensor: Tensor
    layout: Stored = AS_STORED


class Seen(NamedTuple):
    """What a call does.

    ``does`` may depend on the result. ``part`` says what the call makes of a part of a parameter; such calls
    are recorded only if their result is used as a value.
    """

    does: AnySemantics | Callable[[Tensor], AnySemantics]
    inputs: Sequence[Tensor]
    parameters: dict[str, Role] = {}  # noqa: RUF012  nobody writes into it
    part: Callable[[Stored, Tensor], Stored | None] | None = None


Translator = Callable[..., Seen | None]
_Function = TypeVar("_Function", bound=Callable[..., Any])

TRANSLATORS: dict[str, Translator] = {}
#: Functions that are carried out with others of the vocabulary.
REWRITTEN: dict[str, Callable[..., Any]] = {}
#: Modules whose call as a whole is known, by the name of their class; the function takes the module and its
#: arguments.
MODULES: dict[str, Callable[..., Any]] = {}
#: Functions whose result has the elements of the first argument in the same shape.
IDENTITIES = frozenset(
    {
        "alias",
        "as_subclass",
        "clone",
        "contiguous",
        "cpu",
        "data",
        "detach",
        "double",
        "positive",
        "to",
        "type",
        "type_as",
    }
)
#: Functions whose result depends on the shape and type of their arguments alone.
FACTORIES = frozenset(
    {
        "arange",
        "empty",
        "eye",
        "full",
        "ones",
        "rand",
        "randn",
        "zeros",
        "empty_like",
        "full_like",
        "new_empty",
        "new_full",
        "new_ones",
        "new_tensor",
        "new_zeros",
        "ones_like",
        "rand_like",
        "randint_like",
        "randn_like",
        "zeros_like",
    }
)
#: Functions that ask for a property and give no tensor, by the last part of their names.
QUERIES = frozenset(
    {
        "__bool__",
        "__float__",
        "__format__",
        "__hash__",
        "__index__",
        "__int__",
        "__len__",
        "__repr__",
        "_version",
        "allclose",
        "device",
        "dim",
        "dtype",
        "element_size",
        "equal",
        "get_device",
        "grad",
        "grad_fn",
        "item",
        "itemsize",
        "layout",
        "names",
        "ndim",
        "ndimension",
        "nelement",
        "numel",
        "numpy",
        "requires_grad",
        "requires_grad_",
        "shape",
        "size",
        "storage_offset",
        "stride",
        "tolist",
    }
)


def translates(*names: str) -> Callable[[_Function], _Function]:
    """Enter a translator for functions of these short names."""

    def enter(function: _Function) -> _Function:
        TRANSLATORS.update(dict.fromkeys(names, function))
        return function

    return enter


def rewrites(*names: str) -> Callable[[_Function], _Function]:
    """Enter a function that carries out those of these short names."""

    def enter(function: _Function) -> _Function:
        REWRITTEN.update(dict.fromkeys(names, function))
        return function

    return enter


def rewrites_module(kind: str) -> Callable[[_Function], _Function]:
    """Enter a function that carries out modules of a class, unless a subclass has its own ``forward``."""

    def enter(function: _Function) -> _Function:
        MODULES[kind] = function
        return function

    return enter


def roles(**tensors: Role | Tensor | None) -> dict[str, Role]:
    """The roles that there are."""
    return {
        name: role if isinstance(role, Role) else Role(role)
        for name, role in tensors.items()
        if role is not None
    }


def from_end(axis: int, dimensions: int) -> int:
    """An axis counted from the end."""
    return axis if axis < 0 else axis - dimensions


def from_start(axis: int, dimensions: int) -> int:
    """An axis counted from the start."""
    return axis if axis >= 0 else axis + dimensions


def each_of(value: Any, count: int) -> tuple[int, ...]:
    """A number for each spatial axis, of one or several numbers."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(int(each) for each in (values * count if len(values) == 1 else values))
