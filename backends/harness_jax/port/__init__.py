"""Models of flax and JAX as sides of ``harness port``. Importing this imports no framework."""

from typing import Any

from harness.tracing.side import later
from harness_jax.models import kind_of


def claims(built: Any) -> bool:
    """Check for a module of flax, or a pair of parameters and a function while JAX is imported."""
    return kind_of(built) is not None


prepare = later("harness_jax.models.float64", "enable")
make_side = later("harness_jax.port.side", "JaxSide")
