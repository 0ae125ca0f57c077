"""Models of flax and JAX as sides of ``harness port``. Importing this imports no framework."""

import sys
from collections.abc import Sequence
from typing import Any

from harness.tracing.side import InputShape, OwnTraining, Side

_PAIR = 2


def claims(built: Any) -> bool:
    """Whether it is a module of flax, or a pair of parameters and a function while JAX is imported."""
    return _kind(built) is not None


def prepare() -> None:
    """Make JAX compute in float64."""
    from harness_jax.port.float64 import enable

    enable()


def make_side(built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> Side:
    """See :class:`harness.tracing.side.SidePlugin`."""
    from harness_jax.port.models import Model, PureModel
    from harness_jax.port.side import JaxSide

    model: Model
    kind = _kind(built)
    if kind == "nnx":
        from harness_jax.port.nnx_model import NnxModel

        model = NnxModel(built)
    elif kind == "linen":
        from harness_jax.port.linen_model import LinenModel

        model = LinenModel(built, shapes)
    else:
        model = PureModel(*built)
    return JaxSide(model, "jax" if kind == "pure" else "flax", own)


def _kind(built: Any) -> str | None:
    modules = {base.__module__ for base in type(built).__mro__ if base.__name__ == "Module"}
    if "flax.nnx.module" in modules:
        return "nnx"
    if "flax.linen.module" in modules:
        return "linen"
    is_pair = isinstance(built, (tuple, list)) and len(built) == _PAIR
    return (
        "pure" if is_pair and "jax" in sys.modules and callable(built[1]) and not callable(built[0]) else None
    )
