"""Environments in the cache that no command uses again, for ``harness clean``."""

from pathlib import Path

from harness.core.documents.numbers import counted, size_text
from harness.core.machine.leftovers import Found, LeftoverSource
from harness.timing.environments.cache import environments_in_cache


def _find(_results: Path) -> Found:
    """Find the environments that are not used again, and state the number and size of those of today."""
    environments = environments_in_cache()
    if not environments.kept:
        return Found(environments.unused)
    number = f"{counted(environments.kept, 'environment')} of today"
    return Found(environments.unused, f"Kept: {number}, {size_text(environments.kept_bytes)}.")


ENVIRONMENTS = LeftoverSource(
    {"environment": "a virtual environment of an earlier day, or one whose installation was killed"},
    _find,
)
