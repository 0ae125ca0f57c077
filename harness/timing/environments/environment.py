"""Base and head: two interpreters, what is installed there, and the meaning of a benchmark's names there."""

import os
from typing import NamedTuple

import msgspec

from harness.core.machine.arguments import seconds_of
from harness.core.machine.description import default_threads
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import resized
from harness.core.plugins.options import value_text
from harness.core.plugins.sources import models_of
from harness.core.worker import protocol
from harness.core.worker.interpreter import installed_harness
from harness.errors import UsageError
from harness.timing.engine.pairs import Program
from harness.timing.engine.sessions import defined_by
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import Foreign, StepTarget, is_this_interpreter
from harness.timing.engine.steps.search_path import top_of
from harness.timing.engine.workloads import Workload
from harness.timing.environments.earlier_suite import SuiteInForce
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.environments.suite import Benchmark
from harness.tracing.user_code import is_file


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Base or head of a gate (``label``): an interpreter, and variables that its processes alone get."""

    label: str
    python: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []
    folder: str = "."
    """The checkout from which steps of the user's own are imported."""
    installed_first: bool = False
    """What is installed comes before the modules of ``folder``, as of an interpreter that was given."""
    foreign: Foreign | None = None
    """The checkout of another side, whose code steps must not run here."""
    directory: str = ""
    """The working directory of steps. Default: that of the harness."""
    files: tuple[str, ...] = ()
    """Where the file of a step is looked for. Default: in ``folder``, then in that of head."""
    failure: str = ""
    """Why it could not be made, if it could not."""

    def configuration(self, benchmark: Benchmark, mode: str = "") -> Configuration:
        """Return how the processes of a benchmark run here; a step has no backend."""
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
    """Return both; base with a caution where ``PYTHONPATH`` gives them the same code."""
    path = os.environ.get("PYTHONPATH")
    if not path or "PYTHONPATH" in base.variables | head.variables:
        return base, head
    shared = f"PYTHONPATH={path} applies to base and head: its code is the same for both"
    return msgspec.structs.replace(base, cautions=[*base.cautions, shared]), head


def probe(environment: Environment, *, needs_harness: bool = True) -> EnvironmentRecord:
    """Return the record of an environment, with its version of harness where it ``needs_harness``."""
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
    """Return the benchmark in this environment: see :func:`workload_of` and :func:`step_of`."""
    if benchmark.step:
        return step_of(environment, benchmark, head)
    return workload_of(environment, benchmark)


def workload_of(environment: Environment, benchmark: Benchmark) -> Workload:
    """Return the benchmark as the plugins of this environment define it."""
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
    """Return the step of a benchmark in this environment, usually with its own file, or else ``head``'s."""
    target = StepTarget(
        target=benchmark.step,
        arguments=benchmark.arguments,
        folder=environment.folder,
        working_tree=head.folder if environment.commit else None,
        installed_first=environment.installed_first,
        foreign=environment.foreign,
        directory=environment.directory,
        seed=None if benchmark.seed == "own" else benchmark.seed,
        is_step=benchmark.call,
    )
    folders = environment.files or (environment.folder, head.folder)
    for folder in folders if target.file is not None else ():
        target = msgspec.structs.replace(target, code_folder=None if folder == target.folder else folder)
        if target.has_file:
            break
    return OwnStep(
        label=environment.label,
        configuration=environment.configuration(benchmark),
        target=target,
        samples=benchmark.samples,
        timeout_seconds=seconds_of(benchmark.timeout) if benchmark.timeout else None,
    )


class EnvironmentPair(NamedTuple):
    """Base, head, and the suite that both run."""

    base: Environment
    head: Environment
    suite: SuiteInForce


def of_interpreters(base: Environment, head: Environment) -> tuple[Environment, Environment]:
    """Return two interpreters as base and head, each with its own code.

    Both import what is installed for them first; only for head, and where it is the interpreter that runs
    this command, the files of the checkout come before that.
    """
    remedy = (
        f", the code of head: install base's version for {base.python}, or name its commit in place of the "
        "interpreter (gate --base)"
    )
    base, head = with_shared_path(base, head)
    return (
        msgspec.structs.replace(base, installed_first=True, foreign=Foreign(top_of(head.folder), remedy)),
        msgspec.structs.replace(head, installed_first=not is_this_interpreter(head.python)),
    )
