"""Models of the user's own in the three forms that JAX knows, behind one interface.

The backend trains them and ``harness port`` compares them. Importing this imports no framework.
"""

import functools
import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from harness.tracing.calls import InputShape

if TYPE_CHECKING:
    from harness_jax.models.forms import Model

_PAIR = 2


@functools.cache
def has_flax() -> bool:
    """Check that flax is installed."""
    return importlib.util.find_spec("flax") is not None


def kind_of(built: Any) -> Literal["nnx", "linen", "pure"] | None:
    """Return the form of a model that a user's callable returned; None where it is no model.

    A model is a module of flax, or a pair of parameters and a function while JAX is imported.
    """
    modules = {base.__module__ for base in type(built).__mro__ if base.__name__ == "Module"}
    if "flax.nnx.module" in modules:
        return "nnx"
    if "flax.linen.module" in modules:
        return "linen"
    is_pair = isinstance(built, (tuple, list)) and len(built) == _PAIR
    return (
        "pure" if is_pair and "jax" in sys.modules and callable(built[1]) and not callable(built[0]) else None
    )


def model_of(built: Any, shapes: Sequence[InputShape], *, exact: bool) -> "Model":
    """Wrap the model that a user's callable returned, for inputs of these ``shapes``.

    If ``exact``, the model computes in float64 and in the more exact of its ways; else as the user wrote it.
    """
    match kind_of(built):
        case "nnx":
            from harness_jax.models.nnx_model import NnxModel

            return NnxModel(built, exact=exact)
        case "linen":
            from harness_jax.models.linen_model import LinenModel

            return LinenModel(built, shapes, exact=exact)
        case "pure":
            from harness_jax.models.pure_model import PureModel

            return PureModel(*built, exact=exact)
    raise ValueError(f"{type(built).__name__} is no model of JAX")
