"""Checks of configurations on tasks, several at a time, each in a worker that has CPUs of its own."""

import collections
import contextlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import NamedTuple

from harness.core.certify.certify import NotOffered, Selection, Skipped, check, check_names
from harness.core.certify.page import Checked, Status, result_text
from harness.core.certify.parity import Finding
from harness.core.machine.cpus import bound_to_cpus
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.shell.printing import print_error_line
from harness.core.worker.examiner import Examiner
from harness.core.worker.session import Conversation, Session
from harness.core.worker.template import CannotFork, Templates
from harness.errors import HarnessError
from harness.spec.task import TaskDefinition


def check_once(examiner: Examiner, definition: TaskDefinition, selection: Selection) -> Checked:
    """Check the examiner's configuration on a task, in seconds to minutes; never raise HarnessError.

    Print a line for each case that has ended, with the elapsed time.
    """
    configuration = examiner.configuration
    name = f"{configuration.label} on {definition.name}"
    number = len(check_names(definition, configuration.precision, selection))
    outcomes: list[Finding | Skipped | NotOffered] = []
    start = time.perf_counter()

    def report(outcome: Finding | Skipped | NotOffered) -> None:
        outcomes.append(outcome)
        made, elapsed = len(outcomes), time.perf_counter() - start
        print_error_line(
            f"{name}: {outcome.case} {result_text(outcome)} ({made} of {number}, {elapsed:.0f} s)"
        )

    findings: list[Finding] = []
    problem: HarnessError | None = None
    try:
        findings = check(examiner, definition, report, selection)
    except HarnessError as error:
        problem = error
    seconds = time.perf_counter() - start
    print_error_line(f"{name}: {len(outcomes)} of {number} cases in {seconds:.1f} s")
    findings = findings or [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    precision = configuration.precision
    return Checked(configuration.label, definition.name, precision, outcomes, findings, problem)


_POLL_SECONDS = 0.05


class Check(NamedTuple):
    """A configuration to check on a task."""

    configuration: Configuration
    definition: TaskDefinition


def check_all(
    checks: Sequence[Check], selection: Selection, cpu_groups: Iterable[Sequence[int]]
) -> list[Checked]:
    """Return the outcomes in the order of ``checks``, with one worker at a time on each group of CPUs.

    With ``fail_fast``, there is one worker, and the outcomes end with the first failure.
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
    """The remaining checks, which threads take, and the outcomes by the index of the check."""

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
        """Make one check after the other on ``cpus`` until none is left.

        A worker starts on the same CPUs, and makes all consecutive checks of a configuration.
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
        """Drop the remaining checks, and end all workers at once."""
        self._left.clear()
        for examiner in tuple(self._examiners):
            examiner.kill()


def _cost(check: Check) -> int:
    """Return the number of the task's parameter arrays, which the duration grows with; 0 if it is invalid."""
    definition = check.definition
    try:
        return len(define_task(definition, definition.options()).parameters())
    except HarnessError:
        return 0


#: Longest trial of a fork, the import of a large framework included.
_FORK_LIMIT_SECONDS = 300.0


def try_forks(configurations: Iterable[Configuration]) -> dict[str, str]:
    """Try to fork a worker of each backend from a process that has imported its framework.

    Return why a backend's workers cannot be forked, by its name; empty if they can. Leave out backends that
    cannot be imported.
    """
    found: dict[str, str] = {}
    for configuration in configurations:
        if configuration.backend not in found:
            with contextlib.suppress(HarnessError):  # the check has reported it
                found[configuration.backend] = _why_not_forked(configuration)
    return found


def _why_not_forked(configuration: Configuration) -> str:
    variables = worker_variables(configuration.threads, configuration.device, os.environ)
    backend, threads = configuration.backend, configuration.threads
    with Templates() as templates:
        template = templates.template(backend, threads, variables)
        if template is None:
            return "workers are forked on Linux alone"
        try:
            with Session(variables, _FORK_LIMIT_SECONDS, template=template) as session:
                Conversation(session, backend, threads).describe()
        except CannotFork as error:
            return str(error)
    return ""
