"""A branch that keeps records: written, pushed and read without a checkout.

Records are added to the tree of the branch, whose layout is that of a folder of results. The working tree,
the index and HEAD are never touched. Names of records are unique, so the commits of parallel jobs merge
without conflicts: the later one adds its files to the tree of the earlier one.
"""

import contextlib
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from harness.core.documents.contents import source_path
from harness.core.documents.kinds import Envelope, RecordKind
from harness.errors import HarnessError, UsageError
from harness.timing.environments import git
from harness.timing.environments.programs import Completed, output_of, refuse_options

#: The file that marks a branch as one of records.
MARK = ".harness-records"
_MARK_TEXT = "harness adds records to this branch. Without this file it would refuse to.\n"
#: A record has a checksum: git must not change its line ends.
_ATTRIBUTES = "* -text\n"
_README = """# Records

`harness gate --keep {branch}` adds records to this branch, which shares no commit with the code.

```sh
harness history --kept {branch}
git worktree add --detach ../records origin/{branch}
harness list results --results ../records
```
"""
#: The author where git knows none, as on a runner.
_AUTHOR = {"user.name": "harness gate", "user.email": "harness-gate@example.invalid"}
#: Attempts of one job while others move the branch, and while nobody does.
_MOST_ATTEMPTS, _MOST_FAILURES = 30, 3
#: The pause after an attempt is drawn from twice the range of the one before, up to the longest one.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_TIMEOUT_SECONDS = 300
_E = TypeVar("_E", bound=Envelope)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


class Kept(NamedTuple):
    """Where a record was kept: the commit, the remote that has it, and why one of them is missing."""

    branch: str
    commit: str = ""
    remote: str = ""
    failure: str = ""

    def __str__(self) -> str:
        """Return one line that states it."""
        if not self.failure:
            where = f"pushed to {self.remote}" if self.remote else "no remote to push to"
            return f"Kept: branch {self.branch}, commit {self.commit[:12]}, {where}"
        local = f"; branch {self.branch} of this clone has it" if self.commit else ""
        return f"the record was not kept on {self.remote or 'this clone'}{local}: {self.failure}"


class _Tips(NamedTuple):
    """The last commit of the branch in this clone, and of the remote; empty where there is none."""

    local: str
    remote: str


class RecordBranch:
    """A branch of the repository of a folder to which records are added."""

    def __init__(self, folder: Path, name: str, option: str = "--keep") -> None:
        """Find the repository and the remote of a branch, which need not exist."""
        refuse_options(name)
        self.top = git.repository(folder, option)
        self.name, self._option, self._ref = name, option, f"refs/heads/{name}"
        try:
            is_name = self._git("check-ref-format", "--branch", name) == name
        except HarnessError:
            is_name = False
        if not is_name:
            raise UsageError(f"{option} {name}: no branch can have this name; write one such as records")
        self._remote = self._chosen_remote()
        self._tracking = f"refs/remotes/{self._remote}/{name}"

    def check(self) -> None:
        """Check that records can be added, before anything is measured; a remote need not answer."""
        place = ""
        for line in self._git("worktree", "list", "--porcelain").splitlines():
            key, _, value = line.partition(" ")
            place = value if key == "worktree" else place
            if (key, value) == ("branch", self._ref):
                raise UsageError(
                    f"{self._option} {self.name}: the branch is checked out in {place}, whose files would "
                    "not follow it; name another branch, or switch there (git switch --detach)"
                )
        try:
            self._tips(fetch=True)
        except UsageError:
            raise
        except HarnessError:  # reported with the record
            self._tips(fetch=False)

    def keep(self, kind: RecordKind[_E], record: _E, results: Path, title: str) -> Kept:
        """Commit a record of a folder of results, and the sources that it names, and push the commit.

        A commit of another job that comes first is fetched, and the record is put on top of it. Where the
        push fails, the branch of this clone has the record, and the next job pushes it too.
        """
        files = {f"{kind.folder}/{record.id}.json": results / kind.folder / f"{record.id}.json"}
        for source in record.sources:
            path = source_path(results, source.sha256)
            if source.kept and path.is_file():
                files[str(path.relative_to(results))] = path
        failure, before, failures = "", None, 0
        for attempt in range(_MOST_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)))  # noqa: S311
            tips = None
            try:
                tips = self._tips(fetch=True)
                return Kept(self.name, self._put(files, title, tips, push=True), self._remote)
            except HarnessError as error:
                failure = _without_credentials(error)
            # Whose branch has moved meanwhile was only late: the same may succeed on top of it.
            failures = failures + 1 if tips == before or tips is None else 1
            before = tips
            if failures >= _MOST_FAILURES:
                break
        commit = ""
        if self._remote:
            with contextlib.suppress(HarnessError):
                commit = self._put(files, title, self._tips(fetch=False), push=False)
        return Kept(self.name, commit, self._remote, failure)

    @contextlib.contextmanager
    def results(self) -> Iterator[Path]:
        """Yield a temporary folder of results with all records of the branch, here and on the remote."""
        try:
            tips = self._tips(fetch=True)
        except UsageError:
            raise
        except HarnessError:
            tips = self._tips(fetch=False)
            if not any(tips):
                raise
        if not any(tips):
            beside = f" or on {self._remote}" if self._remote else ""
            raise UsageError(
                f"{self._option} {self.name}: no such branch here{beside}; make it with: "
                f"harness gate --base main --keep {self.name}"
            )
        with git.checkout(self.top, self._commit({}, "", tips)) as folder:
            yield folder

    def _chosen_remote(self) -> str:
        """Return the remote that git has for the branch, or origin, or the only one; empty without any."""
        remotes = self._git("remote").split()
        chosen = self._git("config", "--default", "origin", "--get", f"branch.{self.name}.remote")
        if chosen in remotes:
            return chosen
        if len(remotes) > 1:
            raise UsageError(
                f"{self._option} {self.name}: there are several remotes ({', '.join(remotes)}); choose one: "
                f"git config branch.{self.name}.remote {remotes[0]}"
            )
        return remotes[0] if remotes else ""

    def _tips(self, *, fetch: bool) -> _Tips:
        """Return the tips of the branch; with ``fetch`` the remote is asked."""
        local, remote = self._tip(self._ref), ""
        if self._remote:
            remote = self._fetched() if fetch else self._tip(self._tracking)
        for tip in {local, remote} - {""}:
            if not self._git("ls-tree", "--name-only", tip, MARK):
                raise UsageError(
                    f"{self._option} {self.name}: the branch has other files than records; name a new "
                    "branch, such as records"
                )
        return _Tips(local, remote)

    def _tip(self, reference: str) -> str:
        return self._git("for-each-ref", "--format=%(objectname)", reference)

    def _fetched(self) -> str:
        """Return the tip on the remote, whose commits are then here; empty if there is no such branch.

        All of its history is fetched: that of a branch to which files are added is hardly larger than its
        tip, and a shallow fetch would make a whole clone a shallow one.
        """
        listed = (line.split("\t") for line in self._git("ls-remote", self._remote, self._ref).splitlines())
        tip = next((commit for commit, name in listed if name == self._ref), "")
        if tip and not self._has(tip):
            refs = f"+{self._ref}:{self._tracking}"
            self._git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._remote, refs)
        return tip

    def _has(self, commit: str) -> bool:
        try:
            self._git("cat-file", "-e", f"{commit}^{{commit}}")
        except HarnessError:
            return False
        return True

    def _put(self, files: Mapping[str, Path], title: str, tips: _Tips, *, push: bool) -> str:
        """Add files on top of both tips, push the commit and move the branch to it; return the commit."""
        commit = self._commit(files, title, tips)
        if push and self._remote and commit != tips.remote:
            self._git("push", "--quiet", self._remote, f"{commit}:{self._ref}")
        if commit != tips.local:
            # Only if the branch is still where it was: another job of this clone may have moved it.
            self._git("update-ref", "-m", title, self._ref, commit, tips.local)
        return commit

    def _commit(self, files: Mapping[str, Path], title: str, tips: _Tips) -> str:
        """Return a commit with the files of both tips and these; a tip that has them all already.

        It has the parents that do not contain each other: both, if this clone has records that were never
        pushed.
        """
        parents = [tip for tip in dict.fromkeys((tips.remote, tips.local)) if tip]
        parents = [
            tip for tip in parents if not any(self._contains(each, tip) for each in parents if each != tip)
        ]
        # Of two entries for one path the later one counts: the remote's before that of this clone.
        entries = [self._git("ls-tree", "-r", "-z", "--full-tree", tip) for tip in reversed(parents)]
        if not parents:
            first = {MARK: _MARK_TEXT, ".gitattributes": _ATTRIBUTES}
            first["README.md"] = _README.format(branch=self.name)
            entries += [_entry(self._git("hash-object", "-w", "--stdin", given=first[n]), n) for n in first]
        for name, path in files.items():
            stored = self._git("hash-object", "-w", "--no-filters", "--", str(path.resolve()))
            entries.append(_entry(stored, name))
        with tempfile.TemporaryDirectory(prefix="harness-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git("update-index", "-z", "--index-info", given="".join(entries), variables=index)
            tree = self._git("write-tree", "--missing-ok", variables=index)
        if len(parents) == 1 and tree == self._git("rev-parse", f"{parents[0]}^{{tree}}"):
            return parents[0]
        above = [word for parent in parents for word in ("-p", parent)]
        return self._git(*self._author(), "commit-tree", tree, *above, "-m", title or "records: merge")

    def _contains(self, commit: str, earlier: str) -> bool:
        return not self._git("rev-list", "--max-count=1", f"{commit}..{earlier}")

    def _author(self) -> list[str]:
        """Return options that name an author where git is configured with none."""
        return [
            word
            for name, value in _AUTHOR.items()
            if not self._git("config", "--default", "", "--get", name)
            for word in ("-c", f"{name}={value}")
        ]

    def _git(self, *arguments: str, given: str = "", variables: Mapping[str, str] = {}) -> str:
        """Call git without hooks of the project and without questions; return what it prints."""
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **variables}

        def run(command: list[str], folder: Path) -> Completed:
            try:
                return subprocess.run(
                    command,
                    cwd=folder,
                    env=environment,
                    input=given,
                    capture_output=True,
                    text=True,
                    errors="surrogateescape",
                    timeout=_TIMEOUT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise HarnessError(f"git does not answer within {_TIMEOUT_SECONDS} s") from error

        command = ["git", "-C", str(self.top), "-c", "core.hooksPath=/dev/null", *arguments]
        name = next(word for word in arguments if word != "-c" and "=" not in word)
        return output_of(command, self.top, f"git {name} failed", run)


def _entry(blob: str, path: str) -> str:
    """Return a line for ``git update-index --index-info``."""
    return f"100644 blob {blob}\t{path}\0"


def _without_credentials(error: HarnessError) -> str:
    """Return a message of git without the user and the password of an address, on one line."""
    return _CREDENTIALS.sub("", " ".join(str(error).split()))
