"""``harness check``: is the work the reference's, in float64, for every rule that a task may be given."""

import time

import click
from tabulate import tabulate

from harness.cli import options
from harness.cli.messages import print_error_line
from harness.errors import HarnessError, PluginError, UsageError
from harness.machine.description import default_threads
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.installation import installation, select_backend
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition
from harness.testing.certify import check
from harness.testing.parity import TOLERANCE, Finding
from harness.worker.examiner import Examiner

_AGREES, _DEVIATES, _NOT_CHECKED = "✓", "DEVIATES", "not checked"


@click.command(short_help="Hold backends against the committed references, in float64.")
@click.argument("backends", nargs=-1, metavar="[BACKEND[:MODE]]...", callback=options.split_names)
@options.tasks
@click.option(
    "--all-modes", is_flag=True, help="Every mode of a backend, not the named or default one alone."
)
@click.option("--cases", "by_case", is_flag=True, help="Tell each case, not the worst of a task alone.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="The arithmetic whose first losses are held too; bfloat16 is mixed precision.",
)
@options.device
@options.threads
@options.plugin
@click.pass_context
def command(
    ctx: click.Context,
    backends: list[str],
    tasks: list[str],
    all_modes: bool,
    by_case: bool,
    precision: Precision,
    device: str,
    threads: int | None,
) -> None:
    """Build each task in float64 and hold what it does against the reference, to a relative 1e-9.

    Losses of each step, the gradients of the first, all weights after the last and the outputs in
    evaluation mode, for each optimizer and regulariser that the task may be given; and the first losses
    in the precision that is timed, to what its rounding allows. Without a name every backend that is
    installed is checked, in all of its modes. Exit code 1 on a deviation, and where something is broken or
    could not be checked to the end.
    """
    definitions, broken = _definitions(tasks)
    sides = [
        Configuration(backend, mode, device, threads or default_threads(), precision)
        for backend, mode in _chosen(backends, all_modes=all_modes)
    ]
    if not backends:
        broken += _broken_backends()
    rows, remarks = [], list(broken)
    for side in sides:
        with Examiner(side) as examiner:
            outcomes = [_Outcome(examiner, definition) for definition in definitions]
        rows.append([side.label, *(outcome.cell for outcome in outcomes)])
        remarks += [text for outcome in outcomes for text in outcome.remarks(by_case=by_case)]
    click.echo(f"Worst relative deviation from the reference in float64; at most {TOLERANCE:g} is rounding.")
    headers = ["backend:mode", *(definition.name for definition in definitions)]
    click.echo(tabulate(rows, headers, disable_numparse=True))
    for text in remarks:
        click.echo(f"\n{text}")
    cells = [cell for row in rows for cell in row[1:]] + [_NOT_CHECKED] * len(broken)
    click.echo(f"\n{_conclusion(cells)}")
    ctx.exit(0 if all(cell.startswith(_AGREES) for cell in cells) else 1)


def _conclusion(cells: list[str]) -> str:
    if any(cell.startswith(_DEVIATES) for cell in cells):
        return "A deviation was found."
    if _NOT_CHECKED in cells:
        return "No deviation was found, but not everything could be checked."
    return "All agree with the reference."


def _definitions(names: list[str]) -> tuple[list[TaskDefinition], list[str]]:
    """The tasks that are named; without a name all of them, and what is wrong with those that are broken."""
    if names:
        return [registry.task(name) for name in names], []
    found, broken = [], []
    for name in registry.names("task"):
        try:
            found.append(registry.task(name))
        except PluginError as error:
            broken.append(f"Not checked: {error}")
    return found, broken


def _broken_backends() -> list[str]:
    states = {name: installation(name) for name in registry.names("backend")}
    return [
        f"Not checked: backend {name}: {detail}"
        for name, (state, detail) in states.items()
        if state == "broken"
    ]


def _chosen(names: list[str], *, all_modes: bool) -> list[tuple[str, str]]:
    """Backends with their modes: those named, or every one that is installed."""
    if not names:
        names = [name for name in registry.names("backend") if installation(name).state == "installed"]
        all_modes = True
        if not names:
            raise UsageError("no backend is installed here; `harness list backends` says what each needs.")
    selected = [select_backend(name) for name in names]
    pairs = [
        (backend.name, mode)
        for backend, chosen in selected
        for mode in (backend.modes if all_modes else (chosen,))
    ]
    return list(dict.fromkeys(pairs))


class _Outcome:
    """What checking a side on a task came to."""

    def __init__(self, examiner: Examiner, definition: TaskDefinition) -> None:
        self._name = f"{examiner.configuration.label} on {definition.name}"
        self._findings: list[Finding] = []
        self._problem = ""
        start = time.perf_counter()
        try:
            check(examiner, definition, self._findings.append)
        except HarnessError as error:
            self._problem = str(error)
        seconds = time.perf_counter() - start
        print_error_line(f"{self._name}: {len(self._findings)} cases, {seconds:.1f} s")

    @property
    def cell(self) -> str:
        if self._problem:
            return _DEVIATES if any(not found.passed for found in self._findings) else _NOT_CHECKED
        worst = max(found.worst for found in self._findings if found.tolerance == TOLERANCE)
        return f"{_mark(all(found.passed for found in self._findings))} {worst:.1e}"

    def remarks(self, *, by_case: bool) -> list[str]:
        texts = [
            f"{self._name}, {found.case}: {found.explanation}." for found in self._findings if not found.passed
        ]
        if self._problem:
            texts.append(f"{self._name} was not checked to the end: {self._problem}")
        if by_case:
            rows = [(found.case, f"{found.worst:.1e}", _mark(found.passed)) for found in self._findings]
            table = tabulate(rows, ("case", "worst relative deviation", ""), disable_numparse=True)
            texts.append(f"{self._name}\n{table}")
        return texts


def _mark(passed: bool) -> str:
    return _AGREES if passed else _DEVIATES
