"""What a step of the user's own needs of JAX: waiting for its value. Its random keys are explicit.

The process of the step executes this file once jax is imported; it may import nothing of the harness.
"""

from typing import Any

import jax


def synchronize(value: Any) -> None:
    """Wait until the value is computed."""
    jax.block_until_ready(value)
