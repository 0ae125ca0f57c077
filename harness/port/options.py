"""What is compared, and how."""

from typing import Any

import msgspec

from harness.tracing.calls import Loss


class SideSpec(msgspec.Struct, frozen=True):
    """A model: ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, and the arguments of the callable."""

    target: str
    arguments: dict[str, Any] = {}


class PortOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How two models are compared."""

    loss: Loss = "cross-entropy"
    batch: int = 4
    steps: int = 20
    learning_rate: float = 0.01
    threads: int = 1
    timeout_seconds: float = 600.0
    names: dict[str, list[str]] = {}
    """Names of A's parameters with those of B that they are; the rest is matched by use and shape."""
