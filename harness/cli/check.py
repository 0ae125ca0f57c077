"""``harness check``: whether backends compute what the references state, in float64."""

import itertools

import click
from tabulate import tabulate

from harness.certify.certify import Selection, check_names
from harness.certify.parity import TOLERANCE
from harness.cli import completion, options
from harness.cli.check_outcome import CLOCK, Status
from harness.cli.check_workers import Check, check_all
from harness.cli.printing import echo
from harness.errors import PluginError, UsageError, unknown_name
from harness.machine.cpus import cpu_groups
from harness.machine.description import default_threads, has_nvidia_gpu
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.plugins.installation import installation
from harness.plugins.options import parse_options
from harness.plugins.selection import select_backend
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition

#: Each holds a framework and a network in memory, up to about 2 GiB.
_MOST_WORKERS = 8


@click.command()
@click.argument(
    "backends",
    nargs=-1,
    metavar="[BACKEND[:MODE]]...",
    callback=options.split_names,
    shell_complete=completion.BACKENDS,
)
@click.option(
    "--backend",
    "named_backends",
    multiple=True,
    metavar="NAME[:MODE]",
    callback=options.split_names,
    shell_complete=completion.BACKENDS,
    help="Another form of the argument, as in `harness run`.",
)
@options.tasks
@click.option("--all-modes", is_flag=True, help="Check every mode, not only the named or default one.")
@click.option("--cases", "by_case", is_flag=True, help="Print every case, not only the worst of each task.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Also compare the first losses in this arithmetic. bfloat16 is mixed precision.",
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
@click.option(
    "--threads",
    type=options.THREADS,
    metavar="N",
    help="CPU threads of each worker. As many tasks are checked at the same time as there are cores for. "
    "Default: 1 on a CPU; on a GPU the number of physical cores, and one task after the other.",
)
@options.plugin_of_all
@click.pass_context
def command(
    ctx: click.Context,
    backends: list[str],
    named_backends: list[str],
    tasks: list[str],
    all_modes: bool,
    by_case: bool,
    precision: Precision,
    chosen_cases: tuple[str, ...],
    fail_fast: bool,
    traceback: bool,
    device: str,
    threads: int | None,
) -> None:
    """Train each task for a few steps in float64 and compare with its reference, to a relative 1e-9.

    Compared are the loss of each step, the gradients of the first step, all weights after the last, and
    the outputs in evaluation mode, for every optimizer and regulariser that the task accepts; then the
    first losses in --precision, to what its rounding allows. Default: every installed backend in all its
    modes, and every task.

    Exit code: 0 if all agree, 1 if anything deviates or could not be checked, 2 if the input is wrong.
    """
    backends = list(dict.fromkeys(backends + named_backends))
    definitions, broken = _definitions(tasks)
    on_gpu = device != "cpu" and has_nvidia_gpu()
    threads = threads or (default_threads() if on_gpu else 1)
    checks = [
        Check(Configuration(backend, mode, device, threads, precision), definition)
        for backend, mode in _chosen(backends, definitions, all_modes=all_modes)
        for definition in definitions
    ]
    if not backends:
        broken += _broken_backends()
    selection = _selection(chosen_cases, definitions, precision, fail_fast=fail_fast)
    groups = cpu_groups(threads, threads if on_gpu else min(default_threads(), _MOST_WORKERS * threads))
    outcomes = check_all(checks, selection, groups)
    statuses = [Status.NOT_CHECKED] * len(broken) + [outcome.status for outcome in outcomes]
    remarks = broken + [
        text for outcome in outcomes for text in outcome.remarks(by_case=by_case, traceback=traceback)
    ]
    rows = [
        [label, *(outcome.cell for outcome in row)]
        for label, row in itertools.groupby(outcomes, key=lambda outcome: outcome.label)
    ]
    echo(f"Worst relative deviation from the reference in float64. Up to {TOLERANCE:g} is rounding.")
    headers = ["backend", *(definition.name for definition in definitions)]
    echo(tabulate(rows, headers, disable_numparse=True))
    for text in _smaller(definitions) + remarks:
        echo(f"\n{text}")
    if chosen_cases:
        echo(f"\nOnly these cases were compared: {', '.join(chosen_cases)}.")
    echo(f"\n{_conclusion(statuses)}")
    ctx.exit(0 if set(statuses) <= {Status.AGREES} else 1)


def _selection(
    names: tuple[str, ...], definitions: list[TaskDefinition], precision: Precision, *, fail_fast: bool
) -> Selection:
    """The cases to make; raises UsageError for a name that no task has."""
    if names:
        known = {CLOCK}.union(*(check_names(definition, precision) for definition in definitions))
        if unknown := [name for name in names if name not in known]:
            raise unknown_name("case", unknown[0], known)
    return Selection(frozenset(names), fail_fast)


def _smaller(definitions: list[TaskDefinition]) -> list[str]:
    """A line that names the networks that are smaller than those of a run, if there are any."""
    smaller = [
        f"{definition.name} with {', '.join(f'{key}={value}' for key, value in definition.certified.items())}"
        for definition in definitions
        if definition.certified
    ]
    return [f"Smaller networks of the same layers were compared: {'; '.join(smaller)}."] if smaller else []


def _conclusion(statuses: list[Status]) -> str:
    if Status.DEVIATES in statuses:
        return "At least one result deviates from the reference."
    if Status.DISHONEST in statuses:
        return "Everything agrees with the reference, but at least one clock cannot be trusted."
    if Status.NOT_CHECKED in statuses:
        return "No deviation was found, but not everything could be checked."
    return "Everything agrees with the reference."


def _definitions(names: list[str]) -> tuple[list[TaskDefinition], list[str]]:
    """The named tasks; without names all tasks that are not broken, and a line for each that is."""
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
    """Backends with their modes: those named or default for a task, or all of every installed backend."""
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
