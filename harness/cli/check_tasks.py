"""The checks of configurations on tasks: certificates side by side, then one clock after the other."""

import itertools
import os
import queue
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Self

import msgspec

from harness.cli.check_outcome import CheckOutcome, Status
from harness.machine.cpus import cpu_count
from harness.machine.worker_variables import worker_variables
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.spec.task import TaskDefinition
from harness.testing.certify import Selection
from harness.worker.examiner import Examiner

#: Certificates that are made at the same time. Backends spend most of them in compilers and in Python, which
#: keep one CPU busy; each takes a worker with a framework and up to a gigabyte of memory.
_AT_ONCE = 2
#: Threads that spin while they wait for others take the CPU from the other worker's: PyTorch's certificates
#: took ten times as long. Nothing that is computed depends on it.
_YIELD = ("OMP_WAIT_POLICY", "passive")
_POLL_SECONDS = 0.1


def check_tasks(
    configurations: list[Configuration], definitions: list[TaskDefinition], selection: Selection
) -> Iterator[CheckOutcome]:
    """Yield the outcome of each configuration on each task in this order; with ``fail_fast`` until one fails.

    Nothing in a certificate is timed. While a clock is tested, all other workers are stopped.
    """
    groups = [[one] for one in definitions] if selection.fail_fast else [definitions]
    for configuration in configurations:
        with _Certifiers(configuration, _number_at_once(configuration, definitions, selection)) as certifiers:
            for outcome in itertools.chain.from_iterable(
                certifiers.certify(group, selection) for group in groups
            ):
                certifiers.pause()
                outcome.test_clock()
                yield outcome
                if selection.fail_fast and outcome.status is not Status.AGREES:
                    return


def _number_at_once(
    configuration: Configuration, definitions: list[TaskDefinition], selection: Selection
) -> int:
    """One where which failure comes first matters, and on a GPU, whose memory JAX takes for one process."""
    if selection.fail_fast or configuration.device != "cpu":
        return 1
    cpus = cpu_count(worker_variables(configuration.threads, configuration.device, os.environ))
    return min(_AT_ONCE, cpus, len(definitions))


class _Certifiers:
    """A number of workers of one configuration, each started and awaited by a thread of its own.

    The threads last as long as the workers: Linux ends a worker with the thread that started it.
    """

    def __init__(self, configuration: Configuration, number: int) -> None:
        variables = (*configuration.variables, _YIELD)
        configuration = msgspec.structs.replace(configuration, variables=variables)
        self._examiners = [Examiner(configuration) for _ in range(number)]
        self._idle: queue.SimpleQueue[Examiner] = queue.SimpleQueue()
        for examiner in self._examiners:
            self._idle.put(examiner)
        self._pool = ThreadPoolExecutor(number)

    def certify(self, definitions: list[TaskDefinition], selection: Selection) -> list[CheckOutcome]:
        """The outcomes of these tasks, whose clocks are not tested yet. The longest begin first."""
        longest_first = sorted(definitions, key=_parameter_count, reverse=True)
        futures = {
            self._pool.submit(self._certify, definition, selection): definition.name
            for definition in longest_first
        }
        try:
            made = {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException:
            self._abandon(futures)
            raise
        return [made[definition.name] for definition in definitions]

    def _certify(self, definition: TaskDefinition, selection: Selection) -> CheckOutcome:
        examiner = self._idle.get()
        try:
            return CheckOutcome(examiner, definition, selection)
        finally:
            self._idle.put(examiner)

    def _abandon(self, futures: Iterable[Future[CheckOutcome]]) -> None:
        """Have the threads return at once."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        # A thread that has lost its worker may be about to start the next one.
        while not all(future.done() for future in futures):
            for examiner in self._examiners:
                examiner.kill()
            time.sleep(_POLL_SECONDS)

    def pause(self) -> None:
        """Stop all workers; what is asked of one lets it continue."""
        for examiner in self._examiners:
            examiner.pause()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for examiner in self._examiners:
            examiner.__exit__(kind, error, trace)
        self._pool.shutdown()


def _parameter_count(definition: TaskDefinition) -> int:
    """The arrays of a task's networks: with them grows what a compiler has to do."""
    return len(define_task(definition, definition.options()).parameters())
