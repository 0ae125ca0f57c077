"""Models of flax and JAX as sides of ``harness port``. Importing this imports no framework."""

from collections.abc import Sequence
from typing import Any

from harness.tracing.calls import InputShape
from harness.tracing.side import AsWritten, OwnTraining, Side
from harness_jax.models import kind_of, model_of


def claims(built: Any) -> bool:
    """Whether it is a module of flax, or a pair of parameters and a function while JAX is imported."""
    return kind_of(built) is not None


def prepare() -> None:
    """Make JAX compute in float64."""
    from harness_jax.models.float64 import enable

    enable()


def make_side(built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> Side:
    """See :class:`harness.tracing.side.SidePlugin`."""
    from harness_jax.port.side import JaxSide

    framework = "jax" if kind_of(built) == "pure" else "flax"
    return JaxSide(model_of(built, shapes, exact=True), framework, own)


def make_as_written(built: Any, shapes: Sequence[InputShape]) -> AsWritten:
    """See :class:`harness.tracing.side.SidePlugin`."""
    from harness_jax.port.side import as_written

    return as_written(model_of(built, shapes, exact=False))
