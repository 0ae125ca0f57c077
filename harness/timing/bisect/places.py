"""Places where the candidates of a bisection run: commits of a repository, or released versions."""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.version import InvalidVersion, Version

from harness.errors import UsageError
from harness.timing.bisect.record import Candidate
from harness.timing.engine.pairs import Program
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import (
    Foreign,
    Imported,
    ListImports,
    own_files,
    refuse_foreign_code,
)
from harness.timing.engine.steps.search_path import top_of
from harness.timing.environments import git, programs
from harness.timing.environments.cache import Progress
from harness.timing.environments.commits import Source, link_data, package_of
from harness.timing.environments.environment import Environment, program_of
from harness.timing.environments.imports import refuse_installed_copy
from harness.timing.environments.installation import environment_of
from harness.timing.environments.requirements import environment_with
from harness.timing.environments.suite import Benchmark

_SHOWN_DIGITS = 10


@dataclass(eq=False)
class Commits:
    """The commits of the repository that the current folder is in, each in a worktree.

    A pure-Python package needs no more: its files come first on the path of this interpreter. ``source`` is
    the requirement that pip installs from a commit, into an environment of its own, whose step then imports
    the installed code: files of the worktree would hide it. The file of a step is that of the commit, or else
    of the working tree; with ``own_file`` always of the working tree.
    """

    benchmark: Benchmark
    stack: contextlib.ExitStack
    progress: Progress
    source: str = ""
    own_file: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError where all commits would run the same code, or there is no repository."""
        if not self.benchmark.step and not self.source:
            raise UsageError(
                f"benchmark {self.benchmark.name} trains a task, which runs what is installed: add --source "
                "with what pip installs of each commit, such as '.[torch]'"
            )
        self._here = Path.cwd()
        self._top = git.repository(self._here, "--good")
        self._place = git.place_in_repository(self._here)

    def candidates(self, good: str, bad: str) -> list[Candidate]:
        """Return the commits from good to bad."""
        ends = (git.commit_of(self._top, good, "--good"), git.commit_of(self._top, bad, "--bad"))
        row = git.commits_between(self._top, *ends)
        self._hashes = [commit for commit, _ in row]
        # Titles need not be UTF-8, and records must be.
        titles = [os.fsencode(title).decode(errors="replace") for _, title in row]
        return [
            Candidate(commit[:_SHOWN_DIGITS], title)
            for commit, title in zip(self._hashes, titles, strict=True)
        ]

    def workload(self, candidate: int, label: str) -> Program:
        """Return the program of a commit: see :class:`harness.timing.bisect.runner.Places`."""
        commit = self._hashes[candidate]
        self.progress.show(f"checking {label} out")
        tree = self.stack.enter_context(git.checkout(self._top, commit))
        python, folder = sys.executable, tree / self._place
        directory = str(folder)
        files = (str(self._here),) if self.own_file else (str(folder), str(self._here))
        if self.source:
            package = package_of(self._top, commit, Source(self.source, self._place))
            made = environment_of([], package, label=label, progress=self.progress)
            installed = self.stack.enter_context(made).python
            python, folder = str(installed), installed.parent.parent
        link_data(self._top, tree)
        foreign = Foreign(top_of(str(self._top)), _ELSEWHERE)
        environment = Environment(
            label=label,
            python=python,
            commit=commit,
            folder=str(folder),
            foreign=foreign,
            directory=directory,
            files=files,
        )
        working_tree = msgspec.structs.replace(environment, folder=str(self._here))
        program = program_of(environment, self.benchmark, working_tree)
        if isinstance(program, OwnStep) and not self.source:
            self._refuse_the_same_code(program)
        return program

    def _refuse_the_same_code(self, step: OwnStep) -> None:
        target = step.target
        with step.made() as (session, _):
            imported = session.call(ListImports(), Imported)
        refuse_foreign_code(step.label, imported, target)
        refuse_installed_copy(f"{step.label} and other commits", imported.installed, [top_of(target.folder)])
        if (target.file is None or target.code_folder) and not own_files(imported, target):
            remedy = "Run"
            if self.own_file and not target.lacks_file:
                remedy = "Leave out --own-file, with which all commits run the same file, or run"
            reason = (
                f"{target.target} imports nothing of its commit before its first call. {remedy}{_INSTALL}"
            )
            raise UsageError(f"{step.label}: {reason}") from ConfigurationFailed(step.label, reason)


_INSTALL = " this in the folder of the package, or install each commit: --source ."
_ELSEWHERE = f" of the working tree, which its commit lacks. Run{_INSTALL}"


@dataclass(eq=False)
class Versions:
    """Released versions of a package, or of several that move together, each in its own environment.

    ``others`` are requirements of every environment in addition to these packages.
    """

    benchmark: Benchmark
    stack: contextlib.ExitStack
    progress: Progress
    packages: Sequence[str]
    others: Sequence[str] = ()

    def candidates(self, good: str, bad: str) -> list[Candidate]:
        """Return the versions from good to bad that pip finds for all of the packages."""
        first, last = _version(good, "--good"), _version(bad, "--bad")
        common = set.intersection(*(set(released(package)) for package in self.packages))
        names = " and ".join(self.packages)
        for option, wanted in (("--good", first), ("--bad", last)):
            if wanted not in common:
                listed = ", ".join(map(str, sorted(common, reverse=True)[:12]))
                raise UsageError(
                    f"{option} {wanted}: pip finds no such version of {names}. It finds {listed}"
                )
        if not first < last:
            raise UsageError(f"--good {good} must be an earlier version than --bad {bad}")
        self._versions = [str(version) for version in sorted(common) if first <= version <= last]
        return [Candidate(version) for version in self._versions]

    def workload(self, candidate: int, label: str) -> Program:
        """Return the program of a version: see :class:`harness.timing.bisect.runner.Places`."""
        version = self._versions[candidate]
        requirements = [f"{package}=={version}" for package in self.packages]
        made = environment_with(label, requirements, self.others, [self.benchmark], self.progress)
        environment = self.stack.enter_context(made)
        return program_of(environment, self.benchmark, environment)


def released(package: str) -> list[Version]:
    """Return the final releases of a package that pip finds for this Python."""
    programs.refuse_no_package(package)
    command = [sys.executable, "-m", "pip", "index", "versions", "--", package]
    text = programs.output_of(command, Path.cwd(), f"pip finds no versions of {package}")
    (listed,) = re.findall(r"^Available versions: (.*)$", text, re.MULTILINE) or [""]
    found = []
    for each in listed.split(", "):
        with contextlib.suppress(InvalidVersion):
            version = Version(each)
            if not version.is_prerelease and version.local is None:
                found.append(version)
    return found


def _version(text: str, option: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise UsageError(f"{option} {text}: with --package it is a version, such as 2.6.0") from error
