"""The two environments of a gate, made from a git repository: base from a commit, head from what is there.

Each is a virtual environment with the project installed by pip. That of a commit is kept in the user's
cache for the next gates of the day, so that base and head have what pip finds on one day: a release of a
framework in between would look like a change of the code. One of uncommitted changes is made anew each
time, and kept for the commands that the outcome advises.
"""

import contextlib
import datetime
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from harness.errors import HarnessError, UsageError
from harness.gate.environments import Environment
from harness.gate.suite import SUITE_FILES, Benchmark, Suite, benchmark_of, benchmark_tables, work_of
from harness.machine import process_groups

_LAST_LINES = 5
_COMPLETE = "complete"
_KEPT_SECONDS = 2 * 86400.0
#: A suite that lost half of its benchmarks while it was moved is still the same file.
_ALIKE = "--find-renames=30%"


class Source(NamedTuple):
    """What pip installs of a checkout, such as ``.[torch]``, as it is named from a folder in it."""

    requirement: str
    place: Path = Path()


def repository(folder: Path) -> Path:
    """The top of the repository that a folder is in.

    Raises:
        UsageError: it is in none, or there is no git.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except HarnessError as error:
        raise UsageError(f"--base takes a git repository, and {folder} is in none ({error})") from error


def place_in_repository(folder: Path) -> Path:
    """Where in its repository a folder is."""
    return Path(_git(folder, "rev-parse", "--show-prefix"))


def commit_of(top: Path, reference: str) -> str:
    """The commit that a branch, tag or hash names.

    Raises:
        UsageError: none.
    """
    try:
        return _git(top, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}")
    except HarnessError as error:
        raise UsageError(
            f"--base {reference}: no such commit here; in CI a branch is origin/{reference}, once a job has "
            "fetched it (a whole checkout: fetch-depth 0, GIT_DEPTH 0)"
        ) from error


@contextlib.contextmanager
def checkout(top: Path, commit: str) -> Iterator[Path]:
    """A worktree of this commit, gone afterwards."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="harness-gate-", ignore_cleanup_errors=True)
            )
        except FileNotFoundError as error:
            raise UsageError("no folder for temporary files can be written to: set TMPDIR to one") from error
        tree = Path(folder) / "source"
        _git(top, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            yield tree
        finally:  # what was measured in between must not be lost to a file that cannot be deleted
            with contextlib.suppress(HarnessError):
                _git(top, "worktree", "remove", "--force", str(tree))


def base_environment(
    tree: Path, top: Path, commit: str, source: Source, say: Callable[[str], None]
) -> Environment:
    """The environment of a commit's worktree; raises HarnessError where pip fails."""
    venv = _cached(top, commit, source)
    lacking = ""
    with _alone_at(venv, say):
        if not (venv / _COMPLETE).exists():
            venv, lacking = _make(venv, tree, source, "base", commit, say)
    return _environment("base", venv, lacking, commit=commit)


@contextlib.contextmanager
def head_environment(top: Path, source: Source, say: Callable[[str], None]) -> Iterator[Environment]:
    """The environment of HEAD, or of the working tree where tracked files are changed in it.

    Files that git does not know, such as results, are no change: they are not part of what is installed then.

    Raises:
        HarnessError: pip fails.
    """
    commit = _git(top, "rev-parse", "HEAD")
    if not _git(top, "status", "--porcelain", "--untracked-files=no"):
        left_out = _left_out(top, commit)
        lacking = ""
        venv = _cached(top, commit, source)
        with _alone_at(venv, say), contextlib.ExitStack() as stack:
            if not (venv / _COMPLETE).exists():
                tree = stack.enter_context(checkout(top, commit))
                venv, lacking = _make(venv, tree, source, "head", commit, say)
        yield _environment("head", venv, left_out, lacking, commit=commit)
        return
    venv = _cached(top, "uncommitted", source)
    with _alone_at(venv, say):  # to the end: another gate of this tree would make it anew
        _install(venv, top / source.place, source.requirement, "head (uncommitted changes)", say)
        yield _environment("head", venv)


def _make(
    venv: Path, tree: Path, source: Source, label: str, commit: str, say: Callable[[str], None]
) -> tuple[Path, str]:
    """Install a commit's worktree; where that is, and what of its submodules cannot be had.

    One that lacks some is not kept: the next gate may find more, and must not change it under this one.
    """
    lacking = _fill_submodules(tree, label)
    if lacking:
        venv = Path(tempfile.mkdtemp(prefix=f"{venv.name}-{label}-", dir=venv.parent))
    _install(venv, tree / source.place, source.requirement, f"{label} ({commit[:12]})", say)
    if not lacking:
        (venv / _COMPLETE).touch()
    return venv, lacking


def _environment(label: str, venv: Path, *cautions: str, commit: str | None = None) -> Environment:
    python = str(venv / "bin" / "python")
    return Environment(label=label, python=python, commit=commit, cautions=[*filter(None, cautions)])


def _left_out(top: Path, commit: str) -> str:
    """What a reader must know of files that look like part of HEAD; empty where there are none."""
    unknown = _git(top, "ls-files", "--others", "--exclude-standard").splitlines()
    if not unknown:
        return ""
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    return f"head is {commit[:12]}; {unknown[0]}{more} is unknown to git and no part of it"


def _fill_submodules(tree: Path, label: str) -> str:
    """What cannot be had of them, empty where all are there: whether pip needs it is for that to find."""
    if (tree / ".gitmodules").exists():
        try:
            update = ["git", "-C", str(tree), "submodule", "--quiet", "update", "--init", "--recursive"]
            _run(["env", "GIT_TERMINAL_PROMPT=0", *update], tree, "git submodule failed", _call)
        except HarnessError as error:
            return f"{label} is without all of its submodules: {error}"
    return ""


def vanished(
    suite: Suite, top: Path, tree: Path, looked_in: Path | None = None
) -> tuple[Benchmark, ...] | None:
    """The benchmarks that the commit's own suite has and ``suite`` has not.

    The commit's own is what a command without a suite would have found in ``tree``, where that is how this
    one was found, in the folder ``looked_in`` of the repository; what lies where the suite lies now, or
    where git says that it was moved from; or else where a suite is looked for and now is none any more.
    None where none can be read.
    """
    for name in _earlier_places(Path(suite.file).resolve(), top, tree, looked_in):
        if before := _tables(tree / name):
            return missing(suite, before)
    return None


def _earlier_places(file: Path, top: Path, tree: Path, looked_in: Path | None) -> Iterator[str]:
    """Where a suite may have lain in the commit, the likeliest first."""
    if looked_in is not None:
        yield from (str(looked_in / name) for name in SUITE_FILES)
    if file.is_relative_to(top):
        now = str(file.relative_to(top))
        yield now
        with contextlib.suppress(HarnessError):  # a clone without blobs may be unable to look
            yield from _moved_from(now, top, tree)
    yield from (name for name in SUITE_FILES if not _tables(top / name))


def _moved_from(name: str, top: Path, tree: Path) -> list[str]:
    """What git finds a file of the working tree to have been called in the commit."""
    commit = _git(tree, "rev-parse", "HEAD")
    renamed = _git(top, "diff", "-z", "--name-status", _ALIKE, "--diff-filter=R", commit).split("\0")
    return [before for before, now in zip(renamed[1::3], renamed[2::3], strict=False) if now == name]


def _tables(path: Path) -> dict[str, Any]:
    """Those of a suite's benchmarks; none where there is none that can be read."""
    try:
        return benchmark_tables(path)
    except UsageError:
        return {}


def missing(suite: Suite, before: Mapping[str, Any]) -> tuple[Benchmark, ...]:
    """The benchmarks among the tables of an earlier suite that ``suite`` has not, or writes otherwise.

    What is written otherwise may be the same work all the same, which only an environment can tell.
    """
    now = {benchmark.name: benchmark for benchmark in suite.benchmarks}
    return tuple(
        earlier
        for name, table in before.items()
        for earlier, whole in [_named(name, table)]
        if name not in now or _differs(earlier, now[name], whole=whole)
    )


def _differs(earlier: Benchmark, now: Benchmark, *, whole: bool) -> bool:
    if whole:
        return work_of(earlier) != work_of(now)
    return (earlier.backend, earlier.task) != (now.backend, now.task)


def _named(name: str, table: object) -> tuple[Benchmark, bool]:
    """A benchmark of an earlier suite; and whether all of it is told, for it may be of another harness."""
    told = table if isinstance(table, dict) else {}
    try:
        return benchmark_of(name, told, {}, name), True
    except UsageError:
        rest = Benchmark(name=name, backend=str(told.get("backend", "")), task=str(told.get("task", "")))
        return rest, False


def _cached(top: Path, commit: str, source: Source) -> Path:
    """Where the environment of a commit is kept today."""
    told = f"{top} {source.place} {source.requirement} {sys.version} {_today()}"
    key = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:12]
    return _cache() / f"{commit[:16]}-{key}"


@contextlib.contextmanager
def _alone_at(venv: Path, say: Callable[[str], None]) -> Iterator[None]:
    """One gate at a time makes an environment; another that wants it waits, and finds it made.

    Raises:
        UsageError: the cache cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            venv.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(venv.with_suffix(".lock").open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another gate makes or uses {venv}: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(
                f"environments cannot be kept in {venv.parent}: {error.strerror}; name another folder with "
                "HARNESS_CACHE_DIR"
            ) from error
        yield


@functools.cache
def _today() -> datetime.date:
    """The same for both sides of a gate, though midnight be between them."""
    return datetime.datetime.now(datetime.UTC).date()


def _cache() -> Path:
    cache = os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness")
    return Path(cache).absolute() / "gate"


def _clear_old() -> None:
    """Take environments of earlier days out of the cache: a gigabyte each with a framework in it."""
    for venv in _cache().glob("*/"):
        with contextlib.suppress(OSError):
            if time.time() - venv.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(venv, ignore_errors=True)


def _install(venv: Path, folder: Path, source: str, what: str, say: Callable[[str], None]) -> None:
    """A new environment with ``source`` as pip finds it in that folder."""
    say(f"installing {what}")
    _clear_old()
    shutil.rmtree(venv, ignore_errors=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    # -P: modules of the project must not stand in for Python's own.
    _run(
        [sys.executable, "-P", "-m", "venv", str(venv)],
        venv.parent,
        f"the environment of {what} cannot be made",
    )
    install = [str(venv / "bin" / "python"), "-P", "-m", "pip", "install", "--quiet", source]
    _run(install, folder, f"{what}: pip install {source} failed")


def _git(folder: Path, *arguments: str) -> str:
    return _run(["git", "-C", str(folder), *arguments], folder, f"git {arguments[0]} failed", _call)


_Done = subprocess.CompletedProcess[str]


def _call(command: list[str], folder: Path) -> _Done:
    """As the terminal would: git tidies up after a Ctrl-C."""
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="surrogateescape", check=False
    )


def _call_and_end(command: list[str], folder: Path) -> _Done:
    """Nothing may go on in an environment after a gate that was killed: the next one makes it anew."""
    return process_groups.run(command, None, folder=folder, errors="surrogateescape")


def _run(
    command: list[str],
    folder: Path,
    failure: str,
    call: Callable[[list[str], Path], _Done] = _call_and_end,
) -> str:
    try:
        done = call(command, folder)
    except OSError as error:
        raise HarnessError(f"{failure}: {error}") from error
    if done.returncode:
        last = "; ".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise HarnessError(f"{failure}: {last}")
    return done.stdout.strip()
