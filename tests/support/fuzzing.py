"""How much tests with made-up input try: the same few examples each time, or as many as one asks for."""

import os

from hypothesis import HealthCheck, settings

#: Instead of each test's own number, and then others each time.
_EXAMPLES = os.environ.get("HARNESS_TEST_EXAMPLES")


def fuzzing(examples: int) -> settings:
    """Settings of a test with so many examples."""
    return settings(
        max_examples=int(_EXAMPLES or examples),
        derandomize=_EXAMPLES is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
