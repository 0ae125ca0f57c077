"""The git repository of a project: its commits, worktrees and renamed files."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from harness.core.machine.guarded_folder import GuardedFolder
from harness.errors import HarnessError, UsageError
from harness.timing.environments.programs import output_of, refuse_options, run_plainly

#: A suite that lost half of its benchmarks while it was moved is still the same file.
_SIMILARITY = "--find-renames=30%"
#: The address of a remote on the web, by HTTPS or SSH; a user, a password and a port are left out.
_REMOTE = re.compile(
    r"(?:(?:https?|ssh)://(?:[^/@]*@)?(?P<host>[\w.-]+)(?::\d+)?/|(?:[\w.-]+@)(?P<scp>[\w.-]+):)"
    r"(?P<path>[\w./~-]+?)(?:\.git)?/?"
)


def repository(folder: Path, option: str = "--base") -> Path:
    """Return the top of the repository that a folder is in."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except HarnessError as error:
        raise UsageError(f"{option} needs a git repository, and {folder} is in none ({error})") from error


def place_in_repository(folder: Path) -> Path:
    """Return the path of a folder relative to the top of its repository."""
    return Path(_git(folder, "rev-parse", "--show-prefix"))


def commit_of(top: Path, reference: str, option: str = "--base") -> str:
    """Return the hash of the commit that a branch, tag or hash names, given as ``option``."""
    refuse_options(reference)
    try:
        return _git(top, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}")
    except HarnessError as error:
        raise UsageError(
            f"{option} {reference}: no such commit. In CI, write a branch as origin/BRANCH, and fetch the "
            "whole history (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)"
        ) from error


def commits_between(top: Path, good: str, bad: str) -> list[tuple[str, str]]:
    """Return hash and title of the commits from ``good`` to ``bad``, both included, along first parents."""
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


class CommitText(NamedTuple):
    """The title of a commit, and the address of its page on the web; empty where there is none."""

    title: str
    address: str = ""


def commit_texts(folder: Path, commits: Iterable[str]) -> dict[str, CommitText]:
    """Return the texts of those of ``commits`` that are in the repository of a folder, if there is one.

    Commits may come from a record of anyone: what is no hash is left out.
    """
    hashes = [
        commit for commit in dict.fromkeys(commits) if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit)
    ]
    if not hashes:
        return {}
    try:
        top = repository(folder)
        options = ("--no-walk=unsorted", "--ignore-missing", "--format=%H%x09%s")
        listed = _git(top, "log", *options, *hashes, "--").splitlines()
    except (HarnessError, UsageError):
        return {}
    site = _site(top)
    texts = (line.partition("\t") for line in listed)
    return {
        commit: CommitText(os.fsencode(title).decode(errors="replace"), f"{site}{commit}" if site else "")
        for commit, _, title in texts
    }


def _site(top: Path) -> str:
    """Return the address to which a commit is appended for its page; empty without a remote on the web."""
    try:
        remote = _git(top, "remote", "get-url", "origin")
    except HarnessError:
        return ""
    match = re.fullmatch(_REMOTE, remote)
    if match is None:
        return ""
    host = match["host"] or match["scp"]
    commits = "commits" if "bitbucket" in host else "commit"
    return f"https://{host}/{match['path']}/{commits}/"


def has_changes(top: Path) -> bool:
    """Check for tracked files that differ from HEAD. Untracked files, such as results, do not count."""
    return bool(_git(top, "status", "--porcelain", "--untracked-files=no"))


def untracked_files(top: Path) -> list[str]:
    """Return the files that git neither tracks nor ignores."""
    return _git(top, "ls-files", "--others", "--exclude-standard").splitlines()


def entries_beside(top: Path) -> list[str]:
    """Return files and whole folders that git does not track, ignored ones included, relative to the top."""
    return [name for name in _git(top, "ls-files", "-z", "--others", "--directory").split("\0") if name]


def tracked_files(top: Path) -> list[str]:
    """Return the files that git tracks in a checkout and its submodules, relative to its top."""
    return [name for name in _git_in_tree(top, "ls-files", "-z", "--recurse-submodules").split("\0") if name]


@contextlib.contextmanager
def checkout(top: Path, commit: str) -> Iterator[Path]:
    """Yield a worktree of a commit, and remove it afterwards.

    Its git directory lies beside it and names the repository: see ``commondir`` in gitrepository-layout(5).
    The repository itself does not list the worktree, so a killed command leaves nothing in it.
    """
    common = (top / _git(top, "rev-parse", "--git-common-dir")).resolve()
    with GuardedFolder("checkout") as folder:
        try:
            tree, own = folder.path / "source", folder.path / "git"
            tree.mkdir()
            (own / "reftable").mkdir(parents=True)  # unused where references are files
            (tree / ".git").write_bytes(b"gitdir: " + os.fsencode(own) + b"\n")
            (own / "commondir").write_bytes(os.fsencode(common) + b"\n")
            (own / "HEAD").write_text("ref: refs/heads/.invalid\n")
        except OSError as error:
            why = f"no folder for temporary files is writable ({error.strerror}): set TMPDIR to one"
            raise UsageError(why) from error
        _git_in_tree(tree, "update-ref", "--no-deref", "HEAD", commit)
        _git_in_tree(tree, "reset", "--hard", "--quiet", "--no-recurse-submodules")
        yield tree


def fill_submodules(tree: Path) -> str:
    """Fetch the submodules of a worktree; say why some are missing, empty where none is.

    Only pip can find out if the project needs them.
    """
    if not (tree / ".gitmodules").exists():
        return ""
    try:
        _git_in_tree(tree, "submodule", "--quiet", "update", "--init", "--recursive")
    except HarnessError as error:
        return str(error)
    return ""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return output_of(command, folder, f"git {arguments[0]} failed", run_plainly)


#: Variables in which git names the repository to a hook; a hook may call the harness.
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")


def _git_in_tree(tree: Path, *arguments: str) -> str:
    """Call git in a worktree of :func:`checkout`, whatever repository the environment names."""
    unset = [word for name in _HOOK_VARIABLES for word in ("-u", name)]
    command = ["env", *unset, "GIT_TERMINAL_PROMPT=0", "git", "-C", str(tree), *arguments]
    return output_of(command, tree, f"git {arguments[0]} failed", run_plainly)
