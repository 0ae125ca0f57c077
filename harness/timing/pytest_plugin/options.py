"""Values of options and keywords: the interpreters of base and head, and counts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.machine.arguments import program
from harness.errors import UsageError
from harness.timing.engine.steps.search_path import top_of

if TYPE_CHECKING:
    from harness.timing.pytest_plugin.base_commit import BaseCommit

INTERPRETERS = {label: pytest.StashKey[str | None]() for label in ("base", "head")}
BASE_COMMIT: "pytest.StashKey[BaseCommit | None]" = pytest.StashKey()


def has_base(config: pytest.Config) -> bool:
    """Check that there is a base to compare with: a commit or an interpreter."""
    return config.stash[BASE_COMMIT] is not None or interpreter(config, "base") is not None


def project_folder(config: pytest.Config) -> Path:
    """Return the folder from which processes of steps import: the root of pytest, or where pytest runs.

    pytest takes a path after ``--harness-base-python`` for one of tests, and may choose a folder around the
    project as its root.
    """
    here = config.invocation_params.dir
    return config.rootpath if config.rootpath.is_relative_to(top_of(str(here))) else here


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
