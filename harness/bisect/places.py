"""Where the candidates of a bisection run: the commits of a repository, or released versions of packages."""

import contextlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from packaging.version import InvalidVersion, Version

from harness.bisect.record import Candidate
from harness.duel.own_steps import OwnStep
from harness.duel.pairs import Program
from harness.errors import UsageError
from harness.gate import commands, git
from harness.gate.environments import Environment, Source, package_of, step_of, workload_of
from harness.gate.installation import Progress, environment_of
from harness.gate.suite import Benchmark
from harness.gate.upgrade import environment_with

_SHOWN_DIGITS = 10


class Commits:
    """The commits of the repository that the current folder is in, each in a worktree.

    A pure-Python package needs no more: its files come first on the path of this interpreter. ``source`` is
    what pip installs from a commit that needs it, into an environment of its own. The file of a step is that
    of the working tree, unless ``own_file``.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        stack: contextlib.ExitStack,
        progress: Progress,
        *,
        source: str = "",
        own_file: bool = False,
    ) -> None:
        self._benchmark, self._stack, self._progress = benchmark, stack, progress
        self._source, self._own_file = source, own_file
        self._here = Path.cwd()
        self._top = git.repository(self._here, "--good")
        self._place = git.place_in_repository(self._here)
        self._hashes: list[str] = []

    def candidates(self, good: str, bad: str) -> list[Candidate]:
        """The commits from good to bad.

        Raises:
            UsageError: there is no such commit, or no row of commits between them.
        """
        ends = (git.commit_of(self._top, good, "--good"), git.commit_of(self._top, bad, "--bad"))
        row = git.commits_between(self._top, *ends)
        self._hashes = [commit for commit, _ in row]
        return [Candidate(commit[:_SHOWN_DIGITS], title) for commit, title in row]

    def workload(self, candidate: int, label: str) -> Program:
        """See :class:`harness.bisect.runner.Places`."""
        commit, python = self._hashes[candidate], sys.executable
        self._progress.show(f"checking {label} out")
        tree = self._stack.enter_context(git.checkout(self._top, commit))
        if self._source:
            package = package_of(self._top, commit, Source(self._source, self._place))
            made = environment_of([], package, label=label, progress=self._progress)
            python = str(self._stack.enter_context(made).python)
        here = Environment(label="head", python=python, folder=str(self._here))
        environment = Environment(label=label, python=python, folder=str(tree / self._place))
        return _program(environment, self._benchmark, None if self._own_file else here)


class Versions:
    """Released versions of a package, or of several that move together, each in its own environment."""

    def __init__(
        self,
        benchmark: Benchmark,
        stack: contextlib.ExitStack,
        progress: Progress,
        packages: Sequence[str],
        others: Sequence[str] = (),
    ) -> None:
        """``others`` are requirements that every environment has beside these packages."""
        self._benchmark, self._stack, self._progress = benchmark, stack, progress
        self._packages, self._others = list(packages), list(others)
        self._versions: list[str] = []

    def candidates(self, good: str, bad: str) -> list[Candidate]:
        """The versions from good to bad that pip finds for all of the packages.

        Raises:
            UsageError: a version is none, pip does not find it, or good is not before bad.
            HarnessError: pip finds no versions.
        """
        first, last = _version(good, "--good"), _version(bad, "--bad")
        common = set.intersection(*(set(released(package)) for package in self._packages))
        names = " and ".join(self._packages)
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
        """See :class:`harness.bisect.runner.Places`."""
        version = self._versions[candidate]
        requirements = [f"{package}=={version}" for package in self._packages]
        made = environment_with(label, requirements, self._others, [self._benchmark], self._progress)
        return _program(self._stack.enter_context(made), self._benchmark, None)


def _program(environment: Environment, benchmark: Benchmark, files: Environment | None) -> Program:
    """The benchmark in an environment; ``files`` is that from which the file of a step is taken instead."""
    if not benchmark.step:
        return workload_of(environment, benchmark)
    step: OwnStep = step_of(environment, benchmark, files or environment)
    if files is None:
        return step
    return msgspec.structs.replace(
        step, target=msgspec.structs.replace(step.target, code_folder=files.folder)
    )


def released(package: str) -> list[Version]:
    """The final releases of a package that pip finds for this Python.

    Raises:
        HarnessError: it finds none.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", package]
    text = commands.output_of(command, Path.cwd(), f"pip finds no versions of {package}")
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
