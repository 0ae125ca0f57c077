"""``harness check``: compare backends with the references of tasks, in float64."""

from dataclasses import dataclass

import click

from harness.core.certify.cases import PRIVATE_CASE, plain_task
from harness.core.certify.certify import CLIENTS, NOISE, Selection, check_names
from harness.core.certify.clients import allows_clients
from harness.core.certify.page import Extent, Status, check_document
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.cpus import cpu_groups
from harness.core.machine.description import default_threads, nvidia_gpus
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.installation import installation
from harness.core.plugins.options import parse_options
from harness.core.plugins.selection import select_backend
from harness.core.shell import completion, options
from harness.core.shell.checks import Check, check_all, try_forks
from harness.core.shell.parameters import split_names
from harness.core.shell.printing import echo
from harness.errors import PluginError, UsageError, unknown_name
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition

#: A worker holds a framework and a network in memory, up to about 2 GiB.
_MOST_WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class Given:
    """The values of the options of ``harness check``."""

    backends: list[str]
    named_backends: list[str]
    tasks: list[str]
    all_modes: bool
    by_case: bool
    precision: Precision
    chosen_cases: tuple[str, ...]
    fail_fast: bool
    traceback: bool
    device: str
    threads: int | None


@click.command()
@click.argument(
    "backends",
    nargs=-1,
    metavar="[BACKEND[:MODE]]...",
    callback=split_names,
    shell_complete=completion.BACKENDS,
)
@click.option(
    "--backend",
    "named_backends",
    multiple=True,
    metavar="NAME[:MODE]",
    callback=split_names,
    shell_complete=completion.BACKENDS,
    help="Another form of the argument, as in `harness run`.",
)
@options.tasks
@click.option("--all-modes", is_flag=True, help="Check every mode, not only the named or default one.")
@click.option("--cases", "by_case", is_flag=True, help="Print every case, not only the worst of each task.")
@options.choice(
    "--precision",
    of=("float32", "bfloat16"),
    default="float32",
    text="Also compare the first losses in this arithmetic. bfloat16 is mixed precision.",
)
@click.option(
    "--case",
    "chosen_cases",
    multiple=True,
    metavar="NAME",
    help="Check this case only, such as sgd; repeatable. The names are those that --cases prints.",
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure; list the rest as skipped.")
@click.option("--traceback", is_flag=True, help="Print the traceback of an exception that a backend raised.")
@options.device
@options.number(
    "--threads",
    most=options.MOST_THREADS,
    text="CPU threads of each worker. As many tasks are checked at the same time as there are cores for. "
    "Default: 1 on a CPU; on a GPU the number of physical cores, and one task after the other.",
)
@options.plugin
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Train each task for a few steps in float64 and compare with its reference, to a relative 1e-9.

    Compared are the loss of each step, the gradients of the first step, all weights after the last, and
    the outputs in evaluation mode, for every optimizer and regulariser that the task accepts; then the
    first losses in --precision, to what its rounding allows. Default: every installed backend in all its
    modes, and every task. Without --case a worker of each backend is also forked, if that is possible, as
    --jobs does to save imports.

    Exit code: 0 if all agree, 1 if anything deviates or could not be checked, 2 if the input is wrong.
    """
    backends = list(dict.fromkeys(given.backends + given.named_backends))
    definitions, broken = _definitions(given.tasks)
    on_gpu = given.device != "cpu" and nvidia_gpus() > 0
    threads = given.threads or (default_threads() if on_gpu else 1)
    checks = [
        Check(Configuration(backend, mode, given.device, threads, given.precision), definition)
        for backend, mode in _chosen(backends, definitions, all_modes=given.all_modes)
        for definition in definitions
    ]
    if not backends:
        broken += _broken_backends()
    selection = _selection(definitions, given)
    groups = cpu_groups(threads, threads if on_gpu else min(default_threads(), _MOST_WORKERS * threads))
    outcomes = check_all(checks, selection, groups)
    forks = {} if given.chosen_cases else try_forks(check.configuration for check in checks)
    extent = Extent(definitions, given.chosen_cases, broken, forks)
    document = check_document(outcomes, extent, by_case=given.by_case, traceback=given.traceback)
    echo(terminal_text(document))
    agrees = not broken and all(outcome.status is Status.AGREES for outcome in outcomes)
    ctx.exit(0 if agrees else 1)


def _selection(definitions: list[TaskDefinition], given: Given) -> Selection:
    """Select the cases to make; raise UsageError for a name that no task has."""
    if names := given.chosen_cases:
        known = set[str]().union(*(check_names(definition, given.precision) for definition in definitions))
        known |= {NOISE} if PRIVATE_CASE in known else set()
        known |= {CLIENTS} if any(allows_clients(plain_task(each)) for each in definitions) else set()
        if unknown := [name for name in names if name not in known]:
            raise unknown_name("case", unknown[0], known)
    return Selection(frozenset(names), given.fail_fast)


def _definitions(names: list[str]) -> tuple[list[TaskDefinition], list[str]]:
    """Return the named tasks; without names, all valid tasks, and a line for each broken task."""
    if names:
        return [registry.task(name) for name in names], []
    definitions, broken = [], []
    for name in registry.names("task"):
        try:
            definitions.append(registry.task(name))
        except PluginError as error:
            broken.append(f"Not checked: {error}")
    return definitions, broken


def _broken_backends() -> list[str]:
    states = {name: installation(name) for name in registry.names("backend")}
    return [
        f"Not checked: backend {name}: {detail}"
        for name, (state, detail) in states.items()
        if state == "broken"
    ]


def _chosen(names: list[str], definitions: list[TaskDefinition], *, all_modes: bool) -> list[tuple[str, str]]:
    """Return backends with modes: named ones, the default for a task, or all of every installed backend."""
    if not names:
        names = [name for name in registry.names("backend") if installation(name).state == "installed"]
        all_modes = True
        if not names:
            raise UsageError("no backend is installed; `harness list backends` shows what each needs.")
    selections = [select_backend(name) for name in names]
    defaults = [] if all_modes else definitions
    tasks = [define_task(definition, parse_options(definition, [])) for definition in defaults]
    pairs = [
        (selection.backend.name, mode)
        for selection in selections
        for modes in ([selection.backend.modes] if all_modes else map(selection.modes, tasks))
        for mode in modes
    ]
    return list(dict.fromkeys(pairs))
