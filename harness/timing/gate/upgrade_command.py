"""``harness upgrade``: two versions of a framework, compared on tasks, a suite or an own step."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from harness.core.plugins import registry
from harness.core.shell import options as shared
from harness.core.shell.parameters import split_names
from harness.errors import PluginError, UsageError
from harness.timing.engine.steps.options import StepOptions, step_options
from harness.timing.environments.options import own_step, refuse_step_options, step_benchmark
from harness.timing.environments.requirements import pair_of_requirements, project_of, requirements_of
from harness.timing.environments.suite import Benchmark, Suite
from harness.timing.environments.suite_file import read_suite
from harness.timing.gate.answer import Answer, GateOptions, answered
from harness.timing.gate.command import carried_out
from harness.timing.gate.display import GateDisplay
from harness.timing.gate.record import Upgrade

_USUAL_TASKS = ("mlp", "cnn", "rnn")


@dataclass(frozen=True, kw_only=True)
class Given(GateOptions, StepOptions):
    """The values of the parameters of ``harness upgrade``."""

    old: str
    new: str
    tasks: list[str]
    backend: str | None
    step: str | None
    suite: Path | None
    others: tuple[str, ...]


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    callback=split_names,
    metavar="TASK[,TASK]",
    help=f"Included tasks. Default: {','.join(_USUAL_TASKS)}, without --step.",
)
@click.option("--backend", metavar="NAME", help="Their backend. Default: the one that requires the package.")
@own_step
@shared.suite
@step_options
@shared.others
@shared.threads
@shared.device
@shared.seed
@shared.budget(
    "Start no pair after this time, installations excluded. Default: until every benchmark is decided, and "
    "at most 5 minutes for each that the quick check does not decide."
)
@shared.turns()
@shared.profile("Profile both versions: the operations that changed. Without it, if a step is slower.")
@shared.targets("Also write the result to FILE, such as upgrade.html; repeatable.")
@shared.output
@shared.given_as(Given)
def command(ctx: click.Context, options: Given) -> None:
    """Compare two versions of a framework before you upgrade.

    OLD and NEW are what pip installs, such as torch==2.8.0, or several packages at once. Each gets a new
    virtual environment, kept in the cache. Losses or values are compared first, then fresh processes of both
    run in turn, as in harness gate: step, first step, memory, quality, a verdict for each and one for all.

    \b
      harness upgrade torch==2.8.0 torch==2.13.0
      harness upgrade torch==2.8.0 torch==2.13.0 --step bench.py:make_step --install numpy
      harness upgrade jax==0.5.3,jaxlib==0.5.3 jax==0.10.2,jaxlib==0.10.2 --task cnn,lm --to upgrade.html

    Exit code: 0 safe, 1 not safe, 3 undecided, 4 the measurement cannot be trusted, 2 on wrong input, 130
    after Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    ctx.exit(answered(lambda display, answer: _run(options, display, answer), options))


def _run(options: Given, display: GateDisplay, answer: Answer) -> int:
    base, head = requirements_of(options.old, "OLD"), requirements_of(options.new, "NEW")
    suite = _suite(options, head)
    answer.suite = suite.file
    with pair_of_requirements(suite, base, head, options.others, display) as pair:
        return carried_out(pair, options, display, answer, Upgrade(base, head))


def _suite(options: Given, head: list[str]) -> Suite:
    if sum(map(bool, (options.tasks, options.step, options.suite))) > 1:
        raise UsageError("give one of --task, --step and --suite")
    if not options.step:
        refuse_step_options(options, "a suite" if options.suite else "a task")
    if options.suite:
        return read_suite(options.suite)
    if options.step:
        step = step_benchmark(options.step, options, "harness upgrade")
        return Suite(file="", benchmarks=(step,))
    names = options.tasks or _USUAL_TASKS
    return suite_of_tasks(names, options.backend or backend_of(head), options.threads)


def backend_of(requirements: Sequence[str]) -> str:
    """Return the installed backend of the framework that one of these packages is.

    It has the name of the package, or is the first that requires the package.
    """
    named = [project_of(each) for each in requirements]
    requiring: dict[str, list[str]] = {}
    for name in registry.names("backend"):
        with contextlib.suppress(PluginError):  # a broken plugin costs its own backend alone
            for each in registry.backend(name).requires:
                requiring.setdefault(project_of(each), []).append(name)
    for package in named:
        found = requiring.get(package)
        if found:
            return package if package in found else found[0]
    raise UsageError(
        f"no backend requires {' or '.join(named)}; name one with --backend, or give a step of your own"
    )


def suite_of_tasks(tasks: Sequence[str], backend: str, threads: int | None) -> Suite:
    """Return a suite of included tasks with the usual limits."""
    benchmarks = []
    for name in tasks:
        registry.task(name)  # raises for unknown names
        benchmarks.append(Benchmark(name=name, backend=backend, task=name, threads=threads))
    return Suite(file="", benchmarks=tuple(benchmarks))
