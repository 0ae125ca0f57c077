"""Base and head of a gate: two interpreters that the user names, or environments made from a repository."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.errors import UsageError
from harness.gate import git
from harness.gate.earlier_suite import vanished_from_commit, vanished_from_file
from harness.gate.environments import Environment, with_shared_path
from harness.gate.installation import Source, base_environment, head_environment
from harness.gate.suite import Benchmark, Suite
from harness.plugins.files import plugin_files


class EnvironmentPair(NamedTuple):
    """Base, head, and the benchmarks that head's suite no longer has; None where that is unknown."""

    base: Environment
    head: Environment
    vanished: tuple[Benchmark, ...] | None


def pair_of_interpreters(
    suite: Suite, base: Environment, head: Environment, base_suite: Path | None
) -> EnvironmentPair:
    """The environments as they were given."""
    vanished = None if base_suite is None else vanished_from_file(suite, base_suite)
    return EnvironmentPair(*with_shared_path(base, head), vanished)


@contextlib.contextmanager
def pair_of_commits(
    suite: Suite,
    reference: str,
    base_suite: Path | None,
    say: Callable[[str], None],
    *,
    suite_was_named: bool,
) -> Iterator[EnvironmentPair]:
    """Environments made from the repository of the current folder: ``reference``, and the working tree.

    ``suite_was_named`` says that the suite is not simply the one of this folder.

    Raises:
        UsageError: there is no repository or commit, or the two would share code.
        HarnessError: git or pip fails.
    """
    here = Path.cwd()
    top = git.repository(here)
    commit = git.commit_of(top, reference)
    source = Source(suite.source, git.place_in_repository(here))
    vanished = None if base_suite is None else vanished_from_file(suite, base_suite)
    variables = _separate_code(top, say)
    with git.checkout(top, commit) as tree, head_environment(top, source, say) as head:
        base = base_environment(tree, top, commit, source, say)
        if vanished is None:
            looked_in = None if suite_was_named else source.folder
            vanished = vanished_from_commit(suite, top, tree, looked_in)
        yield EnvironmentPair(
            msgspec.structs.replace(base, variables=variables),
            msgspec.structs.replace(head, variables=variables),
            vanished,
        )


def _separate_code(top: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Keep files of the checkout from taking the place of what is installed, in base and in head.

    Returns the variables that this takes; commands that repeat a benchmark set them too.

    Raises:
        UsageError: a plugin file is part of the checkout.
    """
    for file in plugin_files():
        if file.is_relative_to(top):
            raise UsageError(
                f"--plugin {file} is part of this checkout, so base would load head's version of it. Make it "
                "an entry point of the project, or give two environments with --base-python and --head-python"
            )
    path = os.environ.pop("PYTHONPATH", None)
    if not path:
        return {}
    say(f"PYTHONPATH={path} is ignored, so that base and head run what is installed in them")
    return {"PYTHONPATH": ""}
