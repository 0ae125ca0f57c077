"""Values of options and keywords: the interpreters of base and head, and counts."""

from typing import Any

import pytest

from harness.core.machine.arguments import program
from harness.errors import UsageError

INTERPRETERS = {label: pytest.StashKey[str | None]() for label in ("base", "head")}


def interpreter(config: pytest.Config, label: str) -> str | None:
    """Return the interpreter of ``base`` or ``head``; None if the option is not set."""
    return config.stash[INTERPRETERS[label]]


def given_interpreter(config: pytest.Config, label: str) -> str | None:
    """Return the absolute path of an interpreter, before a test can change the working directory.

    Raises:
        pytest.UsageError: there is no such program.
    """
    option = f"--harness-{label}-python"
    path = config.getoption(option)
    if path is None:
        return None
    try:
        return program(option, path)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def take_count(options: dict[str, Any], key: str, default: int) -> int:
    """Remove a positive whole number from the keywords and return it.

    Raises:
        UsageError: it is not a whole number of at least 1.
    """
    value = options.pop(key, default)
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"harness_benchmark: {key}={value!r} is not a whole number of at least 1")
    return value
