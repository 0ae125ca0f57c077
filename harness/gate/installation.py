"""Virtual environments with a project installed by pip: base from a commit, head from the working tree.

The environment of a commit is kept in the cache for the next gates of the day. That of uncommitted changes
is made again each time, and kept for the commands that the report suggests.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from harness.gate import commands, environment_cache, git
from harness.gate.environments import Environment

_COMMIT_DIGITS = 12


class Source(NamedTuple):
    """What pip installs from a checkout, such as ``.[torch]``, and the ``folder`` that it is relative to."""

    requirement: str
    folder: Path = Path()


def base_environment(
    tree: Path, top: Path, commit: str, source: Source, say: Callable[[str], None]
) -> Environment:
    """The environment of a commit, from its worktree or the cache; raises HarnessError if pip fails."""
    venv = _cached(top, commit, source)
    missing = ""
    with environment_cache.exclusive(venv, say):
        if not environment_cache.is_complete(venv):
            venv, missing = _make(venv, tree, source, "base", commit, say)
    return _environment("base", venv, missing, commit=commit)


@contextlib.contextmanager
def head_environment(top: Path, source: Source, say: Callable[[str], None]) -> Iterator[Environment]:
    """The environment of HEAD, or of the working tree if tracked files in it are changed.

    Raises:
        HarnessError: pip fails.
    """
    if git.has_changes(top):
        venv = _cached(top, "uncommitted", source)
        with environment_cache.exclusive(venv, say):  # to the end: another gate would make it again
            folder, name = top / source.folder, "head (uncommitted changes)"
            _install(venv, folder, source.requirement, name, say)
            yield _environment("head", venv)
        return
    commit = git.head_commit(top)
    untracked, missing = _untracked(top, commit), ""
    venv = _cached(top, commit, source)
    with environment_cache.exclusive(venv, say), contextlib.ExitStack() as stack:
        if not environment_cache.is_complete(venv):
            tree = stack.enter_context(git.checkout(top, commit))
            venv, missing = _make(venv, tree, source, "head", commit, say)
    yield _environment("head", venv, untracked, missing, commit=commit)


def _cached(top: Path, commit: str, source: Source) -> Path:
    return environment_cache.place_of(top, commit, source.requirement, source.folder)


def _make(
    venv: Path, tree: Path, source: Source, label: str, commit: str, say: Callable[[str], None]
) -> tuple[Path, str]:
    """Install a commit's worktree; the environment, and a clause about submodules that are missing.

    An environment that lacks some is not kept: the next gate may get more, and must not change it while it
    is in use.
    """
    failure = git.fill_submodules(tree)
    if failure:
        venv = Path(tempfile.mkdtemp(prefix=f"{venv.name}-{label}-", dir=venv.parent))
    name = f"{label} ({commit[:_COMMIT_DIGITS]})"
    _install(venv, tree / source.folder, source.requirement, name, say)
    if failure:
        return venv, f"{label} lacks some of its submodules: {failure}"
    environment_cache.mark_complete(venv)
    return venv, ""


def _install(venv: Path, folder: Path, requirement: str, name: str, say: Callable[[str], None]) -> None:
    """Make a new environment and install ``requirement``, relative to ``folder``, into it."""
    say(f"installing {name}")
    environment_cache.remove_old()
    shutil.rmtree(venv, ignore_errors=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    # -P: modules of the project must not shadow Python's own.
    make = [sys.executable, "-P", "-m", "venv", str(venv)]
    commands.output_of(make, venv.parent, f"{name}: no virtual environment could be made")
    install = [str(venv / "bin" / "python"), "-P", "-m", "pip", "install", "--quiet", requirement]
    commands.output_of(install, folder, f"{name}: pip install {requirement} failed")


def _environment(label: str, venv: Path, *cautions: str, commit: str | None = None) -> Environment:
    python = str(venv / "bin" / "python")
    return Environment(label=label, python=python, commit=commit, cautions=[*filter(None, cautions)])


def _untracked(top: Path, commit: str) -> str:
    """A clause about files that look like part of HEAD and are not; empty where there are none."""
    files = git.untracked_files(top)
    if not files:
        return ""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    verb = "are" if more else "is"
    return f"head is {commit[:_COMMIT_DIGITS]}; {files[0]}{more} {verb} untracked and not part of it"
