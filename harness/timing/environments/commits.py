"""Environments made from a repository: base from a commit, head from the working tree."""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.plugins.files import plugin_files
from harness.errors import HarnessError, UsageError
from harness.timing.engine.steps.process import Foreign
from harness.timing.engine.steps.search_path import top_of
from harness.timing.environments import git
from harness.timing.environments.cache import Progress
from harness.timing.environments.earlier_suite import suite_in_force, suite_of_commit
from harness.timing.environments.environment import Environment, EnvironmentPair
from harness.timing.environments.installation import Checkout, Package, environment_of
from harness.timing.environments.suite import Suite

_COMMIT_DIGITS = 12


class Source(NamedTuple):
    """The requirement that pip installs, such as ``.[torch]``, relative to ``folder`` of a checkout."""

    requirement: str
    folder: Path = Path()


def base_environment(
    tree: Path | None, top: Path, commit: str, source: Source, progress: Progress
) -> Environment:
    """Make the environment of a commit, from ``tree`` or a new worktree; HarnessError if pip fails."""
    package = package_of(top, commit, source, tree)
    with _installed("base", commit[:_COMMIT_DIGITS], package, progress, commit) as environment:
        return environment


@contextlib.contextmanager
def head_environment(top: Path, source: Source, progress: Progress) -> Iterator[Environment]:
    """Make the environment of HEAD, or of the working tree if tracked files in it are changed."""
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


def link_data(top: Path, tree: Path) -> None:
    """Link what git does not track, such as data, but no code, into the worktree ``tree`` of a commit.

    Steps of the commit run there, where they read its own files by relative paths.
    """
    for name in git.entries_beside(top):
        place, target = top / name, tree / name
        is_code = place.suffix in all_suffixes() or place.name in _NO_DATA
        is_package = any((place / file).exists() for file in _OF_CODE)
        if target.parent.is_dir() and not os.path.lexists(target) and not is_code and not is_package:
            target.symlink_to(place)


#: Entries of a working tree that are no data, and files in folders of code.
_NO_DATA, _OF_CODE = ("__pycache__", ".git"), ("__init__.py", "pyvenv.cfg", ".git")


class CommitPair:
    """A commit in a worktree as base, beside the working tree as head, both of a folder of a repository.

    The worktree lasts as long as ``stack``.
    """

    def __init__(
        self,
        here: Path,
        reference: str,
        progress: Progress,
        stack: contextlib.ExitStack,
        option: str = "--base",
    ) -> None:
        """Check out the commit ``reference``, the value of ``option``."""
        self.top = git.repository(here, option)
        self.commit = git.commit_of(self.top, reference, option)
        self.place = git.place_in_repository(here)
        self._progress, self._stack = progress, stack
        self._variables = _separate_code(self.top, progress)
        self.tree = stack.enter_context(git.checkout(self.top, self.commit))
        self._is_linked = False

    def in_this_interpreter(self) -> tuple[Environment, Environment]:
        """Return base and head, which run this interpreter, each with the files of its own tree first."""
        head_commit = None if git.has_changes(self.top) else git.commit_of(self.top, "HEAD")
        base = Environment(label="base", python=sys.executable, commit=self.commit)
        return self._placed(base, Environment(label="head", python=sys.executable, commit=head_commit))

    def installed(self, requirement: str = "") -> tuple[Environment, Environment]:
        """Return base and head with environments in which pip has installed the requirement of each tree.

        If pip fails for head alone, head's environment has the failure.
        """
        source = Source(requirement or _USUAL_SOURCE, self.place)
        head = self._head_if_possible(source)
        tree = None if self._is_linked else self.tree  # pip must not find what the commit lacks
        base = base_environment(tree, self.top, self.commit, source, self._progress)
        return self._placed(*(msgspec.structs.replace(each, installed_first=True) for each in (base, head)))

    def _head_if_possible(self, source: Source) -> Environment:
        """Make the environment of head; one with the failure where pip fails."""
        try:
            return self._stack.enter_context(head_environment(self.top, source, self._progress))
        except UsageError:
            raise
        except HarnessError as error:
            commit = None if git.has_changes(self.top) else git.commit_of(self.top, "HEAD")
            return Environment(label="head", python="", commit=commit, failure=str(error))

    def _placed(self, base: Environment, head: Environment) -> tuple[Environment, Environment]:
        variables, foreign = self._variables, Foreign(top_of(str(self.top)), _INSTALL_EACH)
        if not self._is_linked:
            link_data(self.top, self.tree)
            self._is_linked = True
        here, folder = Path.cwd().resolve(), str(self.tree / self.place)
        directory = self.tree / here.relative_to(self.top) if here.is_relative_to(self.top) else folder
        return (
            msgspec.structs.replace(
                base,
                variables=variables,
                folder=folder,
                foreign=foreign,
                directory=str(directory if Path(directory).is_dir() else folder),
            ),
            msgspec.structs.replace(head, variables=variables, folder=str(self.top / self.place)),
        )


@contextlib.contextmanager
def pair_of_commits(
    suite: Suite,
    reference: str,
    base_suite: Path | None,
    progress: Progress,
    *,
    suite_was_named: bool,
) -> Iterator[EnvironmentPair]:
    """Make environments from the repository of this folder: ``reference``, and the working tree.

    ``base_suite`` is the suite of base, if it is not that of the commit. ``suite_was_named`` says that
    ``suite`` is not simply the one of this folder. If pip fails for head alone, head's environment has the
    failure.
    """
    with contextlib.ExitStack() as stack:
        pair = CommitPair(Path.cwd(), reference, progress, stack)
        looked_in = None if suite_was_named else pair.place
        in_force = suite_in_force(suite, base_suite or suite_of_commit(suite, pair.top, pair.tree, looked_in))
        made = in_force.suite.source or in_force.suite.has_tasks
        base, head = pair.installed(in_force.suite.source) if made else pair.in_this_interpreter()
        yield EnvironmentPair(base, head, in_force)


#: What to do about code of head that base would import: it is installed in place, as by pip install -e.
_INSTALL_EACH = (
    ', the code of head: install each commit in an environment of its own (source = "." in the suite, or two '
    "interpreters)"
)
#: The requirement of a suite that has tasks and names no source.
_USUAL_SOURCE = ".[torch]"


def _separate_code(top: Path, progress: Progress) -> dict[str, str]:
    """Keep files of the checkout from taking the place of what is installed, in base and in head.

    Returns the variables that this takes; commands that repeat a benchmark set them too.
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
