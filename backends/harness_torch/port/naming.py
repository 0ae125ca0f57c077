"""Short names of torch functions: one for ``torch.add``, ``Tensor.add``, ``Tensor.add_`` and ``+``."""

import functools
from collections.abc import Callable
from typing import Any

import torch

#: Names that mean the same function.
_SAME = {
    "absolute": "abs",
    "arcsinh": "asinh",
    "clip": "clamp",
    "concat": "cat",
    "concatenate": "cat",
    "div": "divide",
    "expit": "sigmoid",
    "floor_divide": "floordiv",
    "greater": "gt",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "iadd": "add",
    "idiv": "divide",
    "imul": "multiply",
    "isub": "subtract",
    "itruediv": "divide",
    "less": "lt",
    "mul": "multiply",
    "neg": "negative",
    "moveaxis": "movedim",
    "radd": "add",
    "rmul": "multiply",
    "sub": "subtract",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "true_divide": "divide",
    "truediv": "divide",
}
_BELOW_GET = -2


@functools.lru_cache(maxsize=4096)
def full_name(function: Callable[..., Any]) -> str:
    """The name that users know: ``torch.nn.functional.relu``, ``torch.Tensor.add_``."""
    resolved = torch.overrides.resolve_name(function)
    return resolved or str(getattr(function, "__name__", function))


@functools.lru_cache(maxsize=4096)
def last_name(function: Callable[..., Any]) -> str:
    """The last part of the name; of a property its own: ``add_``, ``__bool__``, ``shape``."""
    parts = full_name(function).split(".")
    return parts[_BELOW_GET] if parts[-1] == "__get__" and len(parts) > 1 else parts[-1]


@functools.lru_cache(maxsize=4096)
def short_name(function: Callable[..., Any]) -> str:
    """The last part without underscores, so that variants in place have the same name."""
    plain = last_name(function).strip("_")
    return _SAME.get(plain, plain)


def is_in_place(function: Callable[..., Any]) -> bool:
    """Whether a function writes its result into its first argument: ``add_``."""
    last = last_name(function)
    return last.endswith("_") and not last.startswith("_")
