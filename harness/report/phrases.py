"""Names in a row, and lists that are cut."""

from collections.abc import Sequence

from harness.runs.record import Failure, Status


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def cut(sentences: Sequence[str], most: int) -> list[str]:
    """The first ``most`` of them, and how many more there are."""
    more = len(sentences) - most
    return [*sentences[:most], *([f"and {more} more"] if more > 0 else [])]


def failure_text(status: Status, failure: Failure) -> str:
    """``failed: no memory``. The message of an interrupted run states its status."""
    return failure.message if status == "interrupted" else f"{status}: {failure.message}"
