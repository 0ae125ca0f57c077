"""Base and head: two interpreters, what is installed in them, and what a benchmark's names mean there."""

import os

import msgspec

from harness.duel.elsewhere import defined_by
from harness.duel.workloads import Workload
from harness.errors import UsageError
from harness.gate.record import EnvironmentRecord
from harness.gate.suite import Benchmark
from harness.machine.description import default_threads
from harness.plugins.definition import resized
from harness.plugins.options import Value
from harness.spec.backend import Plan
from harness.worker import protocol
from harness.worker.interpreter import installed_harness


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a gate: ``label`` is base or head; ``variables`` are set for its processes alone."""

    label: str
    python: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []


def held_against(base: Environment, head: Environment) -> list[Environment]:
    """The two as they were given; base with what a reader must know of their code."""
    path = os.environ.get("PYTHONPATH")
    if not path or "PYTHONPATH" in base.variables | head.variables:
        return [base, head]
    shared = f"PYTHONPATH={path} reaches both sides: its code is the same for both"
    return [msgspec.structs.replace(base, cautions=[*base.cautions, shared]), head]


def probe(environment: Environment) -> EnvironmentRecord:
    """What harness is installed there.

    Raises:
        UsageError: none, or one that speaks another protocol than this one.
    """
    python, variables = environment.python, environment.variables
    version = installed_harness(environment.label, python, variables)
    return EnvironmentRecord(
        python=python,
        harness=version,
        variables=variables,
        commit=environment.commit,
        # Of names that are no text, as records must be.
        cautions=[os.fsencode(one).decode(errors="replace") for one in environment.cautions],
    )


def side_of(environment: Environment, benchmark: Benchmark) -> Workload:
    """The benchmark as this environment's plugins understand it.

    Raises:
        UsageError: the framework is not installed there, or a batch size is given to what has none.
        ConfigurationFailed: the names mean nothing there, or a plugin cannot be loaded.
    """
    threads = benchmark.threads or default_threads()
    assignments = [f"{name}={_text(value)}" for name, value in benchmark.options.items()]
    names = protocol.Define(benchmark.backend, benchmark.task, assignments)
    defined = defined_by(environment.label, environment.python, environment.variables, names)
    if defined.installed:
        raise UsageError(f"{environment.label} ({environment.python}): {defined.installed}")
    plan = Plan(
        task=resized(defined.task, benchmark.batch_size, benchmark.epochs),
        mode=defined.mode,
        device=benchmark.device,
        precision=benchmark.precision,
        threads=threads,
        seed=benchmark.seed,
    )
    return Workload(
        label=environment.label,
        backend=benchmark.backend.partition(":")[0],
        plan=plan,
        options=defined.options,
        python=environment.python,
        environment=environment.variables,
    )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
