"""Checks of several tasks at the same time, each in a worker that has CPUs of its own."""

import collections
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import NamedTuple

from harness.certify.certify import Selection
from harness.cli.check_outcome import CheckOutcome, Status
from harness.errors import HarnessError
from harness.machine.cpus import bound_to_cpus
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.spec.task import TaskDefinition
from harness.worker.examiner import Examiner

_POLL_SECONDS = 0.05


class Check(NamedTuple):
    """A configuration to check on a task."""

    configuration: Configuration
    definition: TaskDefinition


def check_all(
    checks: Sequence[Check], selection: Selection, cpu_groups: Iterable[Sequence[int]]
) -> list[CheckOutcome]:
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
        self.outcomes: dict[int, CheckOutcome] = {}
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

        This thread shares them with its worker. On those of others it would wait while it tests a clock.
        """
        with bound_to_cpus(cpus):
            taken = self._take()
            while taken is not None:
                taken = self._check_configuration(*taken)

    def _check_configuration(self, index: int, check: Check) -> tuple[int, Check] | None:
        """Make this check, and more as long as they are of its configuration; returns the next one."""
        configuration = check.configuration
        with Examiner(configuration) as examiner:
            self._examiners.add(examiner)
            taken: tuple[int, Check] | None = (index, check)
            while taken is not None and taken[1].configuration == configuration:
                index, check = taken
                outcome = self.outcomes[index] = CheckOutcome(examiner, check.definition, self._selection)
                if self._selection.fail_fast and outcome.status is not Status.AGREES:
                    self._left.clear()
                taken = self._take()
            self._examiners.discard(examiner)
        return taken

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
