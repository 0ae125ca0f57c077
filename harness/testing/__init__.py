"""The public test kit: checks that a backend conforms to the contract and that two models are the same.

Authors of backends use :func:`backend_tests` and :func:`check_backend`; :func:`assert_same_model`, for the
user's own models, belongs to :mod:`harness.port`. A test suite needs no other module beyond the contract;
nothing in the core imports this package.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.port.api import assert_same_model
    from harness.testing.kit import ConformanceError, backend_tests, check_backend

__all__ = ["ConformanceError", "assert_same_model", "backend_tests", "check_backend"]


def __getattr__(name: str) -> Any:
    """Import the conformance kit, and NumPy with it, only on use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "assert_same_model":
        from harness.port.api import assert_same_model

        return assert_same_model
    from harness.testing import kit

    return getattr(kit, name)
