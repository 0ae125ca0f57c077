"""The git repository of a project: its commits, worktrees and renamed files."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.timing.environments.programs import output_of, refuse_options, run_plainly

#: A suite that lost half of its benchmarks while it was moved is still the same file.
_SIMILARITY = "--find-renames=30%"


def repository(folder: Path, option: str = "--base") -> Path:
    """Return the top of the repository that a folder is in.

    Raises:
        UsageError: it is in none, or git is not installed.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except HarnessError as error:
        raise UsageError(f"{option} needs a git repository, and {folder} is in none ({error})") from error


def place_in_repository(folder: Path) -> Path:
    """Return the path of a folder relative to the top of its repository."""
    return Path(_git(folder, "rev-parse", "--show-prefix"))


def commit_of(top: Path, reference: str, option: str = "--base") -> str:
    """Return the hash of the commit that a branch, tag or hash names, given as ``option``.

    Raises:
        UsageError: there is no such commit.
    """
    refuse_options(reference)
    try:
        return _git(top, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}")
    except HarnessError as error:
        raise UsageError(
            f"{option} {reference}: no such commit. In CI a branch is origin/{reference}, and the job must "
            "fetch the whole history (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)"
        ) from error


def commits_between(top: Path, good: str, bad: str) -> list[tuple[str, str]]:
    """Return hash and title of the commits from ``good`` to ``bad``, both included, along first parents.

    Raises:
        UsageError: good is not on the way back from bad.
    """
    listed = _git(top, "log", "--first-parent", "--reverse", "--format=%H%x09%s", f"{good}..{bad}")
    commits = [(line.partition("\t")[0], line.partition("\t")[2]) for line in listed.splitlines()]
    first = _git(top, "log", "-1", "--format=%H%x09%s", good).partition("\t")
    parent = _git(top, "rev-parse", "--verify", f"{commits[0][0]}^") if commits else bad
    if parent != good:
        raise UsageError(
            f"{good[:12]} is not among the first parents of {bad[:12]}, so there is no row of commits from "
            "good to bad; give --good as their common ancestor (git merge-base GOOD BAD)"
        )
    return [(first[0], first[2]), *commits]


def has_changes(top: Path) -> bool:
    """Check for tracked files that differ from HEAD. Untracked files, such as results, do not count."""
    return bool(_git(top, "status", "--porcelain", "--untracked-files=no"))


def untracked_files(top: Path) -> list[str]:
    """Return the files that git neither tracks nor ignores."""
    return _git(top, "ls-files", "--others", "--exclude-standard").splitlines()


def tracked_files(top: Path, files: Sequence[str]) -> list[str]:
    """Return those of ``files`` that git tracks, relative to the top of the repository."""
    return [name for name in _git(top, "ls-files", "-z", "--", *files).split("\0") if name]


@contextlib.contextmanager
def checkout(top: Path, commit: str) -> Iterator[Path]:
    """Yield a worktree of a commit, and remove it afterwards."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="harness-gate-", ignore_cleanup_errors=True)
            )
        except FileNotFoundError as error:
            raise UsageError("no folder for temporary files is writable: set TMPDIR to one") from error
        tree = Path(folder) / "source"
        _git(top, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            yield tree
        finally:  # a file that cannot be deleted must not cost the measurements
            with contextlib.suppress(HarnessError):
                _git(top, "worktree", "remove", "--force", str(tree))


def fill_submodules(tree: Path) -> str:
    """Fetch the submodules of a worktree; say why some are missing, empty where none is.

    Only pip can find out if the project needs them.
    """
    if not (tree / ".gitmodules").exists():
        return ""
    update = ["git", "-C", str(tree), "submodule", "--quiet", "update", "--init", "--recursive"]
    command = ["env", "GIT_TERMINAL_PROMPT=0", *update]
    try:
        output_of(command, tree, "git submodule failed", run_plainly)
    except HarnessError as error:
        return str(error)
    return ""


def earlier_names(name: str, top: Path, tree: Path) -> list[str]:
    """Return the names that a file had in the commit of a worktree, if git finds it renamed."""
    commit = commit_of(tree, "HEAD")
    renamed = _git(top, "diff", "-z", "--name-status", _SIMILARITY, "--diff-filter=R", commit).split("\0")
    return [before for before, now in zip(renamed[1::3], renamed[2::3], strict=False) if now == name]


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return output_of(command, folder, f"git {arguments[0]} failed", run_plainly)
