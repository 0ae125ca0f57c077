"""Proof that a backend does the reference's work: cases, observations, certificates, the conformance kit.

Authors of backends use :func:`backend_tests` and :func:`check_backend`. This room may import training,
plugins, statistics, the machine and the contract. It must not start workers, and must not know records of
runs.
"""

from harness.testing.kit import ConformanceError, backend_tests, check_backend

__all__ = ["ConformanceError", "backend_tests", "check_backend"]
