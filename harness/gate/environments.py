"""Base and head: two interpreters, what is installed there, and what a benchmark's names mean there."""

import os

import msgspec

from harness.duel.elsewhere import defined_by
from harness.duel.workloads import Workload
from harness.errors import UsageError
from harness.gate.record import EnvironmentRecord
from harness.gate.suite import Benchmark
from harness.machine.description import default_threads
from harness.plugins.configuration import Configuration
from harness.plugins.definition import resized
from harness.plugins.options import Value
from harness.plugins.sources import models_of
from harness.tracing.user_code import is_file
from harness.worker import protocol
from harness.worker.interpreter import installed_harness


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Base or head of a gate (``label``): an interpreter, and variables that its processes alone get."""

    label: str
    python: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []


def with_shared_path(base: Environment, head: Environment) -> tuple[Environment, Environment]:
    """Both; base with a caution where ``PYTHONPATH`` gives them the same code."""
    path = os.environ.get("PYTHONPATH")
    if not path or "PYTHONPATH" in base.variables | head.variables:
        return base, head
    shared = f"PYTHONPATH={path} applies to base and head: its code is the same for both"
    return msgspec.structs.replace(base, cautions=[*base.cautions, shared]), head


def probe(environment: Environment) -> EnvironmentRecord:
    """The version of harness that is installed there.

    Raises:
        UsageError: none is, or one that speaks another protocol.
    """
    python, variables = environment.python, environment.variables
    version = installed_harness(environment.label, python, variables)
    return EnvironmentRecord(
        python=python,
        harness=version,
        variables=variables,
        commit=environment.commit,
        # File names need not be UTF-8, and records must be.
        cautions=[os.fsencode(text).decode(errors="replace") for text in environment.cautions],
    )


def workload_of(environment: Environment, benchmark: Benchmark) -> Workload:
    """The benchmark as the plugins of this environment define it.

    Raises:
        UsageError: the framework is not installed there, the task has no batch size to change, or it names a
            model by a file, which is the same for base and head.
        ConfigurationFailed: a name is unknown there, or a plugin cannot be loaded.
    """
    threads = benchmark.threads or default_threads()
    assignments = [f"{name}={_text(value)}" for name, value in benchmark.options.items()]
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
    configuration = Configuration(
        benchmark.backend.partition(":")[0],
        defined.mode,
        benchmark.device,
        threads,
        benchmark.precision,
        python=environment.python,
        variables=tuple(environment.variables.items()),
    )
    return Workload(
        label=environment.label,
        configuration=configuration,
        task=resized(defined.task, benchmark.batch_size, benchmark.epochs),
        options=defined.options,
        seed=benchmark.seed,
    )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
