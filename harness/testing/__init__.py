"""The public test kit: whether a backend conforms to the contract, and whether two models are the same.

Authors of backends use :func:`backend_tests` and :func:`check_backend`; :func:`assert_same_model`, for models
of one's own, belongs to :mod:`harness.port` and is only named here. Test suites find here all that they may
import; nothing in the core imports this room.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.port.api import assert_same_model
    from harness.testing.kit import ConformanceError, backend_tests, check_backend

__all__ = ["ConformanceError", "assert_same_model", "backend_tests", "check_backend"]


def __getattr__(name: str) -> Any:
    """Import the conformance kit, and NumPy with it, only on use: records need certificates alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "assert_same_model":
        from harness.port.api import assert_same_model

        return assert_same_model
    from harness.testing import kit

    return getattr(kit, name)
