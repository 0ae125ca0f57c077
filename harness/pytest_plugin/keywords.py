"""Keywords of ``harness_benchmark`` that are of the measurement, not of what is measured."""

from typing import Any

from harness.errors import UsageError


def count(options: dict[str, Any], key: str, usual: int) -> int:
    """Take a whole number out of the keywords.

    Raises:
        UsageError: it is none, or below 1.
    """
    value = options.pop(key, usual)
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"harness_benchmark: {key}={value!r}: it takes a whole number > 0")
    return value
