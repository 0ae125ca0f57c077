"""Base and head: two interpreters, what is installed there, and what a benchmark's names mean there."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.core.machine.arguments import seconds_of
from harness.core.machine.description import default_threads
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import resized
from harness.core.plugins.files import plugin_files
from harness.core.plugins.sources import models_of
from harness.core.runs.identity import value_text
from harness.core.worker import protocol
from harness.core.worker.process import installed_harness
from harness.errors import HarnessError, UsageError
from harness.timing.duel.runner import defined_by
from harness.timing.engine.pairs import Program
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import StepTarget
from harness.timing.engine.workloads import Workload
from harness.timing.environments import git
from harness.timing.environments.installation import (
    Checkout,
    Package,
    Progress,
    environment_of,
)
from harness.timing.environments.suite import (
    SUITE_FILES,
    Benchmark,
    Suite,
    benchmark_of,
    benchmark_tables,
    work_of,
)
from harness.timing.gate.record import EnvironmentRecord
from harness.tracing.user_code import is_file


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Base or head of a gate (``label``): an interpreter, and variables that its processes alone get."""

    label: str
    python: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []
    folder: str = "."
    """The checkout from which steps of the user's own are taken."""

    def configuration(self, benchmark: Benchmark, mode: str = "") -> Configuration:
        """How the processes of a benchmark run here; a step has no backend."""
        return Configuration(
            benchmark.backend.partition(":")[0],
            mode,
            benchmark.device,
            benchmark.threads or default_threads(),
            benchmark.precision,
            python=self.python,
            variables=tuple(self.variables.items()),
        )


def with_shared_path(base: Environment, head: Environment) -> tuple[Environment, Environment]:
    """Both; base with a caution where ``PYTHONPATH`` gives them the same code."""
    path = os.environ.get("PYTHONPATH")
    if not path or "PYTHONPATH" in base.variables | head.variables:
        return base, head
    shared = f"PYTHONPATH={path} applies to base and head: its code is the same for both"
    return msgspec.structs.replace(base, cautions=[*base.cautions, shared]), head


def probe(environment: Environment, *, needs_harness: bool = True) -> EnvironmentRecord:
    """The version of harness that is installed there, where it ``needs_harness``.

    Raises:
        UsageError: none is, or one that speaks another protocol.
    """
    python, variables = environment.python, environment.variables
    version = installed_harness(environment.label, python, variables) if needs_harness else ""
    return EnvironmentRecord(
        python=python,
        harness=version,
        variables=variables,
        commit=environment.commit,
        # File names need not be UTF-8, and records must be.
        cautions=[os.fsencode(text).decode(errors="replace") for text in environment.cautions],
    )


def program_of(environment: Environment, benchmark: Benchmark, head: Environment) -> Program:
    """The benchmark in this environment; see :func:`workload_of` and :func:`step_of`."""
    if benchmark.step:
        return step_of(environment, benchmark, head)
    return workload_of(environment, benchmark)


def workload_of(environment: Environment, benchmark: Benchmark) -> Workload:
    """The benchmark as the plugins of this environment define it.

    Raises:
        UsageError: the framework is not installed there, the task has no batch size to change, or it names a
            model by a file, which is the same for base and head.
        ConfigurationFailed: a name is unknown there, or a plugin cannot be loaded.
    """
    assignments = [f"{name}={value_text(value)}" for name, value in benchmark.options.items()]
    names = protocol.Define(benchmark.backend, benchmark.task, assignments)
    defined = defined_by(environment.label, environment.python, environment.variables, names)
    if defined.installed:
        raise UsageError(f"{environment.label} ({environment.python}): {defined.installed}")
    for target in models_of(defined.task):
        if is_file(target):
            raise UsageError(
                f"task {benchmark.task} names its model as {target}, a file that base and head share; "
                "install the model with the project, and name it as package.module:CALLABLE"
            )
    return Workload(
        label=environment.label,
        configuration=environment.configuration(benchmark, defined.mode),
        task=resized(defined.task, benchmark.batch_size, benchmark.epochs),
        options=defined.options,
        seed=int(benchmark.seed),
    )


def step_of(environment: Environment, benchmark: Benchmark, head: Environment) -> OwnStep:
    """The step of a benchmark in this environment.

    Its file is that of the environment's own checkout; where that lacks it, ``head``'s.
    """
    target = StepTarget(
        target=benchmark.step,
        arguments=benchmark.arguments,
        folder=environment.folder,
        seed=None if benchmark.seed == "own" else benchmark.seed,
        is_step=benchmark.call,
    )
    if target.file is not None and not target.file.is_file() and environment.folder != head.folder:
        target = msgspec.structs.replace(target, code_folder=head.folder)
    return OwnStep(
        label=environment.label,
        configuration=environment.configuration(benchmark),
        target=target,
        samples=benchmark.samples,
        timeout_seconds=seconds_of(benchmark.timeout) if benchmark.timeout else None,
    )


# Virtual environments with a project installed by pip: base from a commit, head from the working tree.

_COMMIT_DIGITS = 12


class Source(NamedTuple):
    """What pip installs from a checkout, such as ``.[torch]``, and the ``folder`` that it is relative to."""

    requirement: str
    folder: Path = Path()


def base_environment(tree: Path, top: Path, commit: str, source: Source, progress: Progress) -> Environment:
    """The environment of a commit, from its worktree or the cache; raises HarnessError if pip fails."""
    package = package_of(top, commit, source, tree)
    with _installed("base", commit[:_COMMIT_DIGITS], package, progress, commit) as environment:
        return environment


@contextlib.contextmanager
def head_environment(top: Path, source: Source, progress: Progress) -> Iterator[Environment]:
    """The environment of HEAD, or of the working tree if tracked files in it are changed.

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
    """The project with its submodules as it is in a commit, of which ``tree`` may be a worktree."""

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
    """A clause about files that look like part of HEAD and are not; empty where there are none."""
    files = git.untracked_files(top)
    if not files:
        return ""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    verb = "are" if more else "is"
    return f"head is {commit[:_COMMIT_DIGITS]}; {files[0]}{more} {verb} untracked and not part of it"


# The suite as base had it, so that a benchmark that head removed or replaced does not go unnoticed.


def vanished_from_file(suite: Suite, base_suite: Path) -> tuple[Benchmark, ...]:
    """The benchmarks of ``base_suite`` that ``suite`` lacks or has changed; see :func:`vanished`.

    Raises:
        UsageError: the file cannot be read or has no benchmark.
    """
    tables = benchmark_tables(base_suite)
    if not tables:
        raise UsageError(f"--base-suite {base_suite} has no benchmark; give the suite as base had it")
    return vanished(suite, tables)


def vanished_from_commit(
    suite: Suite, top: Path, tree: Path, looked_in: Path | None = None
) -> tuple[Benchmark, ...] | None:
    """The benchmarks that the suite in a commit's worktree ``tree`` has and ``suite`` lacks or has changed.

    The commit's suite is, in this order: what a command without ``--suite`` finds in ``tree``, if ``suite``
    was found so, in the folder ``looked_in`` of the repository; the file where the suite is now; the file
    that git says it was moved from; a usual place that has no suite any more. None where none can be read.
    """
    for name in _earlier_places(Path(suite.file).resolve(), top, tree, looked_in):
        if tables := _tables(tree / name):
            return vanished(suite, tables)
    return None


def vanished(suite: Suite, earlier: Mapping[str, Any]) -> tuple[Benchmark, ...]:
    """The benchmarks among the tables of an ``earlier`` suite that ``suite`` lacks or writes otherwise.

    What is written otherwise may still be the same work, which only an environment can determine.
    """
    gone: list[Benchmark] = []
    now = {benchmark.name: benchmark for benchmark in suite.benchmarks}
    for name, table in earlier.items():
        values = table if isinstance(table, dict) else {}
        try:
            before, same = benchmark_of(name, values, {}, name), work_of
        except UsageError:  # of another version of harness
            backend, task = str(values.get("backend", "")), str(values.get("task", ""))
            before, same = Benchmark(name=name, backend=backend, task=task), _program_of
        if name not in now or same(before) != same(now[name]):
            gone.append(before)
    return tuple(gone)


def _program_of(benchmark: Benchmark) -> str:
    return f"{benchmark.backend} on {benchmark.task}"


def _earlier_places(file: Path, top: Path, tree: Path, looked_in: Path | None) -> Iterator[str]:
    """Where the suite may have been in the commit, the likeliest first."""
    if looked_in is not None:
        yield from (str(looked_in / name) for name in SUITE_FILES)
    if file.is_relative_to(top):
        now = str(file.relative_to(top))
        yield now
        with contextlib.suppress(HarnessError):  # a clone without blobs may be unable to look
            yield from git.earlier_names(now, top, tree)
    yield from (name for name in SUITE_FILES if not _tables(top / name))


def _tables(path: Path) -> dict[str, Any]:
    """The tables of a suite's benchmarks; empty where there is no readable suite."""
    try:
        return benchmark_tables(path)
    except UsageError:
        return {}


# Base and head of a gate: two interpreters that the user names, or environments made from a repository.


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
    progress: Progress,
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
    place = git.place_in_repository(here)
    source = Source(suite.source or _USUAL_SOURCE, place)
    vanished = None if base_suite is None else vanished_from_file(suite, base_suite)
    variables = _separate_code(top, progress)
    with contextlib.ExitStack() as stack:
        tree = stack.enter_context(git.checkout(top, commit))
        if suite.source or suite.has_tasks:
            head = stack.enter_context(head_environment(top, source, progress))
            base = base_environment(tree, top, commit, source, progress)
        else:  # this interpreter, with the code of either tree
            base = Environment(label="base", python=sys.executable, commit=commit)
            head_commit = None if git.has_changes(top) else git.commit_of(top, "HEAD")
            head = Environment(label="head", python=sys.executable, commit=head_commit)
        if vanished is None:
            vanished = vanished_from_commit(suite, top, tree, None if suite_was_named else place)
        yield EnvironmentPair(
            msgspec.structs.replace(base, variables=variables, folder=str(tree / place)),
            msgspec.structs.replace(head, variables=variables, folder=str(top / place)),
            vanished,
        )


#: What is installed where a suite has tasks and does not say.
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
