"""Proof that a backend does the reference's work: cases, observations, certificates, and the conformance kit.

:func:`backend_tests` and :func:`check_backend` are for authors of backends. This room imports the contract,
plugins, training and the machine. It must not start workers, and must not know records of runs.
"""

from harness.testing.kit import ConformanceError, backend_tests, check_backend

__all__ = ["ConformanceError", "backend_tests", "check_backend"]
