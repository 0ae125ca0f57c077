"""Proof that a backend does the reference's work: cases, observations, certificates, and the conformance kit.

:func:`backend_tests` and :func:`check_backend` are for authors of backends. This room imports the contract,
plugins, training and the machine. It must not start workers, and must not know records of runs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.testing.kit import ConformanceError, backend_tests, check_backend

__all__ = ["ConformanceError", "backend_tests", "check_backend"]


def __getattr__(name: str) -> Any:
    """The kit, imported when it is used: records read certificates and must not import NumPy for that."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.testing import kit

    return getattr(kit, name)
