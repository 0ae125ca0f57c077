"""``harness check``: whether backends compute what the references state, in float64."""

import enum
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


class _Status(enum.Enum):
    """The outcome of a check as a table shows it."""

    AGREES = "✓"
    DEVIATES = "DEVIATES"
    NOT_CHECKED = "not checked"


@click.command()
@click.argument("backends", nargs=-1, metavar="[BACKEND[:MODE]]...", callback=options.split_names)
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
@options.device
@options.threads
@options.plugin_of_all
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
    """Train each task for a few steps in float64 and compare with its reference, to a relative 1e-9.

    Compared are the loss of each step, the gradients of the first step, all weights after the last, and
    the outputs in evaluation mode, for every optimizer and regulariser that the task accepts; then the
    first losses in --precision, to what its rounding allows. Default: every installed backend in all its
    modes, and every task.

    Exit code: 0 if all agree, 1 if anything deviates or could not be checked, 2 if the input is wrong.
    """
    definitions, broken = _definitions(tasks)
    configurations = [
        Configuration(backend, mode, device, threads or default_threads(), precision)
        for backend, mode in _chosen(backends, all_modes=all_modes)
    ]
    if not backends:
        broken += _broken_backends()
    rows, statuses, remarks = [], [_Status.NOT_CHECKED] * len(broken), list(broken)
    for configuration in configurations:
        with Examiner(configuration) as examiner:
            outcomes = [_Outcome(examiner, definition) for definition in definitions]
        rows.append([configuration.label, *(outcome.cell for outcome in outcomes)])
        statuses += [outcome.status for outcome in outcomes]
        remarks += [text for outcome in outcomes for text in outcome.remarks(by_case=by_case)]
    click.echo(f"Worst relative deviation from the reference in float64. Up to {TOLERANCE:g} is rounding.")
    headers = ["backend", *(definition.name for definition in definitions)]
    click.echo(tabulate(rows, headers, disable_numparse=True))
    for text in remarks:
        click.echo(f"\n{text}")
    click.echo(f"\n{_conclusion(statuses)}")
    ctx.exit(0 if set(statuses) <= {_Status.AGREES} else 1)


def _conclusion(statuses: list[_Status]) -> str:
    if _Status.DEVIATES in statuses:
        return "At least one result deviates from the reference."
    if _Status.NOT_CHECKED in statuses:
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


def _chosen(names: list[str], *, all_modes: bool) -> list[tuple[str, str]]:
    """Backends with their modes: the named ones, or every mode of every installed backend."""
    if not names:
        names = [name for name in registry.names("backend") if installation(name).state == "installed"]
        all_modes = True
        if not names:
            raise UsageError("no backend is installed; `harness list backends` shows what each needs.")
    selected = [select_backend(name) for name in names]
    pairs = [
        (backend.name, mode)
        for backend, chosen in selected
        for mode in (backend.modes if all_modes else (chosen,))
    ]
    return list(dict.fromkeys(pairs))


class _Outcome:
    """The check of one configuration on one task. ``status`` and ``cell`` go into the table."""

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
        print_error_line(f"{self._name}: {len(self._findings)} cases in {seconds:.1f} s")

    @property
    def status(self) -> _Status:
        if any(not finding.passed for finding in self._findings):
            return _Status.DEVIATES
        return _Status.NOT_CHECKED if self._problem else _Status.AGREES

    @property
    def cell(self) -> str:
        if self._problem:
            return self.status.value
        worst = max(finding.worst for finding in self._findings if finding.tolerance == TOLERANCE)
        return f"{self.status.value} {worst:.1e}"

    def remarks(self, *, by_case: bool) -> list[str]:
        """Lines below the table: what deviates, what stopped the check, and every case if asked for."""
        texts = [
            f"{self._name}, {finding.case}: {finding.explanation}."
            for finding in self._findings
            if not finding.passed
        ]
        if self._problem:
            texts.append(f"{self._name} could not be checked completely: {self._problem}")
        if by_case:
            rows = [(finding.case, f"{finding.worst:.1e}", _mark(finding)) for finding in self._findings]
            table = tabulate(rows, ("case", "worst relative deviation", ""), disable_numparse=True)
            texts.append(f"{self._name}\n{table}")
        return texts


def _mark(finding: Finding) -> str:
    status = _Status.AGREES if finding.passed else _Status.DEVIATES
    return str(status.value)
