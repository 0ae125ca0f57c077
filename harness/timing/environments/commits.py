"""Environments made from a repository: base from a commit, head from the working tree."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.plugins.files import plugin_files
from harness.errors import HarnessError, UsageError
from harness.timing.environments import git
from harness.timing.environments.cache import Progress
from harness.timing.environments.earlier_suite import suite_in_force, suite_of_commit, suite_of_file
from harness.timing.environments.environment import Environment, EnvironmentPair
from harness.timing.environments.installation import Checkout, Package, environment_of
from harness.timing.environments.record import Side
from harness.timing.environments.suite import Suite

_COMMIT_DIGITS = 12


class Source(NamedTuple):
    """The requirement that pip installs, such as ``.[torch]``, relative to ``folder`` of a checkout."""

    requirement: str
    folder: Path = Path()


def base_environment(tree: Path, top: Path, commit: str, source: Source, progress: Progress) -> Environment:
    """Make the environment of a commit, from its worktree or the cache; HarnessError if pip fails."""
    package = package_of(top, commit, source, tree)
    with _installed("base", commit[:_COMMIT_DIGITS], package, progress, commit) as environment:
        return environment


@contextlib.contextmanager
def head_environment(top: Path, source: Source, progress: Progress) -> Iterator[Environment]:
    """Make the environment of HEAD, or of the working tree if tracked files in it are changed.

    Raises:
        HarnessError: pip fails.
    """
    if git.has_changes(top):
        files = contextlib.nullcontext(Checkout(top / source.folder))
        identity = (str(top), str(source.folder), "uncommitted")
        package = Package(source.requirement, identity, lambda: files, lasting=False)
        # To the end of the gate: another one would make it again. It stays for the commands of the report.
        with _installed("head", "uncommitted changes", package, progress) as environment:
            yield environment
        return
    commit = git.commit_of(top, "HEAD")
    package = package_of(top, commit, source)
    with _installed("head", commit[:_COMMIT_DIGITS], package, progress, commit) as environment:
        cautions = [*filter(None, [_untracked(top, commit)]), *environment.cautions]
        yield msgspec.structs.replace(environment, cautions=cautions)


def package_of(top: Path, commit: str, source: Source, tree: Path | None = None) -> Package:
    """Return the project with its submodules as of a commit, of which ``tree`` may be a worktree."""

    @contextlib.contextmanager
    def committed() -> Iterator[Checkout]:
        with git.checkout(top, commit) if tree is None else contextlib.nullcontext(tree) as whole:
            yield Checkout(whole / source.folder, git.fill_submodules(whole))

    return Package(source.requirement, (str(top), str(source.folder), commit), committed)


@contextlib.contextmanager
def _installed(
    label: str, named: str, package: Package, progress: Progress, commit: str | None = None
) -> Iterator[Environment]:
    with environment_of([], package, label=f"{label} ({named})", progress=progress) as installed:
        lacking = installed.lacking and f"{label} lacks some of its submodules: {installed.lacking}"
        cautions = [lacking] if lacking else []
        yield Environment(label=label, python=str(installed.python), commit=commit, cautions=cautions)


def _untracked(top: Path, commit: str) -> str:
    """Return a caution about untracked files, which are not part of HEAD; empty without such files."""
    files = git.untracked_files(top)
    if not files:
        return ""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    verb = "are" if more else "is"
    return f"head is {commit[:_COMMIT_DIGITS]}; {files[0]}{more} {verb} untracked and not part of it"


@contextlib.contextmanager
def pair_of_commits(
    suite: Suite,
    reference: str,
    base_suite: Path | None,
    progress: Progress,
    *,
    suite_was_named: bool,
    suite_from: Side | None = None,
) -> Iterator[EnvironmentPair]:
    """Make environments from the repository of this folder: ``reference``, and the working tree.

    ``suite_was_named`` says that the suite is not simply the one of this folder; for ``suite_from`` see
    :func:`suite_in_force`. If pip fails for head alone, head's environment has the failure.

    Raises:
        UsageError: there is no repository or commit, or the two would share code.
        HarnessError: git fails, or pip for base.
    """
    here = Path.cwd()
    top = git.repository(here)
    commit = git.commit_of(top, reference)
    place = git.place_in_repository(here)
    earlier = None if base_suite is None else suite_of_file(base_suite)
    variables = _separate_code(top, progress)
    with contextlib.ExitStack() as stack:
        tree = stack.enter_context(git.checkout(top, commit))
        earlier = earlier or suite_of_commit(suite, top, tree, None if suite_was_named else place)
        in_force = suite_in_force(suite, earlier, suite_from)
        suite = in_force.suite
        if suite.source or suite.has_tasks:
            source = Source(suite.source or _USUAL_SOURCE, place)
            head = _head_if_possible(top, source, progress, stack)
            base = base_environment(tree, top, commit, source, progress)
        else:  # this interpreter, with the code of either tree
            base = Environment(label="base", python=sys.executable, commit=commit)
            head_commit = None if git.has_changes(top) else git.commit_of(top, "HEAD")
            head = Environment(label="head", python=sys.executable, commit=head_commit)
        yield EnvironmentPair(
            msgspec.structs.replace(base, variables=variables, folder=str(tree / place)),
            msgspec.structs.replace(head, variables=variables, folder=str(top / place)),
            in_force,
        )


def _head_if_possible(
    top: Path, source: Source, progress: Progress, stack: contextlib.ExitStack
) -> Environment:
    """Make the environment of head until ``stack`` is closed; one with the failure where pip fails."""
    try:
        return stack.enter_context(head_environment(top, source, progress))
    except UsageError:
        raise
    except HarnessError as error:
        commit = None if git.has_changes(top) else git.commit_of(top, "HEAD")
        return Environment(label="head", python="", commit=commit, failure=str(error))


#: The requirement of a suite that has tasks and names no source.
_USUAL_SOURCE = ".[torch]"


def _separate_code(top: Path, progress: Progress) -> dict[str, str]:
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
    progress.doing(f"PYTHONPATH={path} is ignored, so that base and head run what is installed in them")
    return {"PYTHONPATH": ""}
