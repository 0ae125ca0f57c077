"""``harness check``: whether backends compute what the references state, in float64."""

import collections
import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import click

from harness.core.certify.cases import (
    PRIVATE_CASE,
    cases,
    plain_task,
)
from harness.core.certify.certify import (
    CLIENTS,
    NOISE,
    WAITING,
    NotOffered,
    Selection,
    Skipped,
    check,
    check_names,
)
from harness.core.certify.clients import allows_clients
from harness.core.certify.page import (
    Checked,
    Extent,
    Status,
    check_document,
    result_text,
)
from harness.core.certify.parity import Finding
from harness.core.certify.waiting import Waiting
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.cpus import bound_to_cpus, cpu_groups
from harness.core.machine.description import default_threads, has_nvidia_gpu
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.installation import installation
from harness.core.plugins.options import parse_options
from harness.core.plugins.selection import select_backend
from harness.core.shell import completion, options
from harness.core.shell.printing import echo, print_error_line
from harness.core.worker.examiner import Examiner
from harness.errors import HarnessError, PluginError, UsageError, unknown_name
from harness.spec.task import TaskDefinition

# The check of one configuration on one task: a line for each case as it ends.

CLOCK = "clock"


def check_once(examiner: Examiner, definition: TaskDefinition, selection: Selection) -> Checked:
    """Make a check, which takes seconds to minutes; never raises HarnessError.

    A line is printed for each case that has ended, with the time so far and about the time that is left.
    """
    configuration = examiner.configuration
    name = f"{configuration.label} on {definition.name}"
    number = len(check_names(definition, configuration.precision, selection)) + selection.includes(CLOCK)
    outcomes: list[Finding | Skipped | NotOffered] = []
    start = time.perf_counter()

    def report(outcome: Finding | Skipped | NotOffered) -> None:
        outcomes.append(outcome)
        made, elapsed = len(outcomes), time.perf_counter() - start
        left = elapsed / made * (number - made)
        print_error_line(
            f"{name}: {outcome.case} {result_text(outcome)} "
            f"({made} of {number}, {elapsed:.0f} s, about {left:.0f} s left)"
        )

    findings: list[Finding] = []
    problem: HarnessError | None = None
    waiting: Waiting | None = None
    try:
        findings = check(examiner, definition, report, selection)
        if selection.includes(CLOCK):
            failed = next((finding.case for finding in findings if not finding.passed), None)
            if failed is None:
                waiting = examiner.examine(WAITING, cases(definition)[0], configuration.precision)
            else:
                report(Skipped(CLOCK, failed))
    except HarnessError as error:
        problem = error
    made, seconds = len(outcomes) + (waiting is not None), time.perf_counter() - start
    print_error_line(f"{name}: {made} of {number} cases in {seconds:.1f} s")
    # After an error there are no causes, only the findings before it.
    findings = findings or [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    precision = configuration.precision
    return Checked(configuration.label, definition.name, precision, outcomes, findings, problem, waiting)


# Checks of several tasks at the same time, each in a worker that has CPUs of its own.

_POLL_SECONDS = 0.05


class Check(NamedTuple):
    """A configuration to check on a task."""

    configuration: Configuration
    definition: TaskDefinition


def check_all(
    checks: Sequence[Check], selection: Selection, cpu_groups: Iterable[Sequence[int]]
) -> list[Checked]:
    """The outcomes in the order of ``checks``, with one worker at a time on each group of CPUs.

    With ``fail_fast`` there is one worker, and the outcomes end with the first failure.
    """
    groups = list(cpu_groups)[: 1 if selection.fail_fast else max(1, len(checks))]
    shared = _Shared(checks, selection)
    with ThreadPoolExecutor(len(groups)) as pool:
        futures = [pool.submit(shared.work, cpus) for cpus in groups]
        try:
            for ended in wait(futures, return_when=FIRST_EXCEPTION).done:
                ended.result()
        finally:
            while wait(futures, _POLL_SECONDS).not_done:  # after an interruption or an error
                shared.abandon()
    return [shared.outcomes[check] for check in range(len(checks)) if check in shared.outcomes]


class _Shared:
    """The checks that are left, which threads take, and the outcomes by the index of the check."""

    def __init__(self, checks: Sequence[Check], selection: Selection) -> None:
        self.outcomes: dict[int, Checked] = {}
        self._selection = selection
        order: Iterable[int] = range(len(checks))
        if not selection.fail_fast:
            # A configuration's long checks first, so that the workers end at about the same time.
            first = {check.configuration: -index for index, check in reversed(list(enumerate(checks)))}
            order = sorted(
                order,
                key=lambda index: (first[checks[index].configuration], _cost(checks[index])),
                reverse=True,
            )
        self._left = collections.deque((index, checks[index]) for index in order)
        self._examiners: set[Examiner] = set()
        self._lock = threading.Lock()

    def work(self, cpus: Sequence[int]) -> None:
        """Make one check after the other on these CPUs until none is left.

        Its worker starts on the same CPUs, and makes all checks of a configuration that follow each other.
        """
        examiner: Examiner | None = None
        with bound_to_cpus(cpus), contextlib.ExitStack() as worker:
            while (taken := self._take()) is not None:
                index, check = taken
                if examiner is None or examiner.configuration != check.configuration:
                    worker.close()
                    examiner = worker.enter_context(Examiner(check.configuration))
                    self._examiners.add(examiner)
                    worker.callback(self._examiners.discard, examiner)
                outcome = self.outcomes[index] = check_once(examiner, check.definition, self._selection)
                if self._selection.fail_fast and outcome.status is not Status.AGREES:
                    self._left.clear()

    def _take(self) -> tuple[int, Check] | None:
        with self._lock:
            return self._left.popleft() if self._left else None

    def abandon(self) -> None:
        """Leave the checks that are left, and end all workers at once."""
        self._left.clear()
        for examiner in tuple(self._examiners):
            examiner.kill()


def _cost(check: Check) -> int:
    """The number of its parameters' arrays, with which its duration grows; 0 where the task is invalid."""
    definition = check.definition
    try:
        return len(define_task(definition, definition.options()).parameters())
    except HarnessError:
        return 0


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
@options.plugin_of_all
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train each task for a few steps in float64 and compare with its reference, to a relative 1e-9.

    Compared are the loss of each step, the gradients of the first step, all weights after the last, and
    the outputs in evaluation mode, for every optimizer and regulariser that the task accepts; then the
    first losses in --precision, to what its rounding allows. Default: every installed backend in all its
    modes, and every task.

    Exit code: 0 if all agree, 1 if anything deviates or could not be checked, 2 if the input is wrong.
    """
    backends = list(dict.fromkeys(given["backends"] + given["named_backends"]))
    definitions, broken = _definitions(given["tasks"])
    on_gpu = given["device"] != "cpu" and has_nvidia_gpu()
    threads = given["threads"] or (default_threads() if on_gpu else 1)
    checks = [
        Check(Configuration(backend, mode, given["device"], threads, given["precision"]), definition)
        for backend, mode in _chosen(backends, definitions, all_modes=given["all_modes"])
        for definition in definitions
    ]
    if not backends:
        broken += _broken_backends()
    selection = _selection(definitions, given)
    groups = cpu_groups(threads, threads if on_gpu else min(default_threads(), _MOST_WORKERS * threads))
    outcomes = check_all(checks, selection, groups)
    extent = Extent(definitions, given["chosen_cases"], broken)
    document = check_document(outcomes, extent, by_case=given["by_case"], traceback=given["traceback"])
    echo(terminal_text(document))
    agrees = not broken and all(outcome.status is Status.AGREES for outcome in outcomes)
    ctx.exit(0 if agrees else 1)


def _selection(definitions: list[TaskDefinition], given: Mapping[str, Any]) -> Selection:
    """The cases to make; raises UsageError for a name that no task has."""
    names: tuple[str, ...] = given["chosen_cases"]
    if names:
        known = {CLOCK}.union(*(check_names(definition, given["precision"]) for definition in definitions))
        known |= {NOISE} if PRIVATE_CASE in known else set()
        known |= {CLIENTS} if any(allows_clients(plain_task(each)) for each in definitions) else set()
        if unknown := [name for name in names if name not in known]:
            raise unknown_name("case", unknown[0], known)
    return Selection(frozenset(names), given["fail_fast"])


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
