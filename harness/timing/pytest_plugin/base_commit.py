"""Base as a commit (``--harness-base``): one worktree for all tests, and environments for those of tasks."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.timing.environments import git
from harness.timing.environments.commits import CommitPair
from harness.timing.environments.environment import Environment

_OPTION = "--harness-base"
_log = logging.getLogger("harness")


class _Logged:
    """An observer of installations that logs what they do."""

    def doing(self, activity: str) -> None:
        _log.info("%s", activity)

    show = doing


class BaseCommit:
    """The commit that ``--harness-base`` names, checked out when a test first needs it."""

    def __init__(self, reference: str, folder: Path) -> None:
        """Check the commit in the repository of ``folder``.

        Raises:
            pytest.UsageError: there is no repository or commit.
        """
        self._reference, self._folder = reference, folder
        self._stack = contextlib.ExitStack()
        self._pair: CommitPair | None = None
        self._made: dict[bool, list[Environment]] = {}
        try:
            git.commit_of(git.repository(folder, _OPTION), reference, _OPTION)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error

    def environments(self, *, is_step: bool) -> list[Environment]:
        """Return base and head: this interpreter for a step, or else environments made by pip.

        Raises:
            HarnessError: git or pip fails.
        """
        if is_step not in self._made:
            with _python_path_kept():
                pair = self._checked_out()
                self._made[is_step] = [*(pair.in_this_interpreter() if is_step else pair.installed())]
        for environment in self._made[is_step]:
            if environment.failure:
                raise HarnessError(environment.failure)
        return self._made[is_step]

    def _checked_out(self) -> CommitPair:
        if self._pair is None:
            self._pair = CommitPair(self._folder, self._reference, _Logged(), self._stack, _OPTION)
        return self._pair

    def close(self) -> None:
        """Remove the worktree."""
        self._stack.close()


@contextlib.contextmanager
def _python_path_kept() -> Iterator[None]:
    """Restore ``PYTHONPATH``, which is removed while environments are made, for the user's own tests."""
    path = os.environ.get("PYTHONPATH")
    try:
        yield
    finally:
        if path is not None:
            os.environ["PYTHONPATH"] = path
