"""Keywords of ``harness_benchmark`` that say how to measure, not what."""

from typing import Any

from harness.errors import UsageError


def take_count(options: dict[str, Any], key: str, default: int) -> int:
    """Remove a positive whole number from the keywords and return it.

    Raises:
        UsageError: it is not a whole number of at least 1.
    """
    value = options.pop(key, default)
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"harness_benchmark: {key}={value!r} is not a whole number of at least 1")
    return value
