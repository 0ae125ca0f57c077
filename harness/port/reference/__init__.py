"""Plain NumPy in float64 for what a call does: the arbiter between two frameworks."""

from harness.port.reference import elementwise, normalization, sequences, shapes, spatial  # noqa: F401  register
from harness.port.reference.dispatch import NoReference, compute

__all__ = ["NoReference", "compute"]
