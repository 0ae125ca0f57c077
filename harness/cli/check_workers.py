"""The tasks of a check in two workers at once: most of its time is compilation, which uses one CPU."""

import contextlib
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from harness.cli.check_outcome import CheckOutcome
from harness.machine.cpus import usable_cpus
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.spec.task import TaskDefinition
from harness.testing.certify import Selection
from harness.worker.examiner import Examiner

_WORKERS = 2
_DEVICES = Path("/dev")


def can_work_side_by_side(configuration: Configuration) -> bool:
    """Whether two workers have room: a CPU each, and no GPU, whose memory the first might take as a whole."""
    on_cpu = configuration.device == "cpu" or (configuration.device == "auto" and not _has_gpu())
    return on_cpu and usable_cpus() >= _WORKERS


def _has_gpu() -> bool:
    """Whether a driver has made a device: of NVIDIA, of AMD, or of Windows for its Linux."""
    return any(any(_DEVICES.glob(name)) for name in ("nvidia[0-9]*", "kfd", "dxg"))


def side_by_side(
    configuration: Configuration, definitions: Sequence[TaskDefinition], selection: Selection
) -> Iterator[CheckOutcome]:
    """Check each task in one of two workers, then the clocks one after the other, undisturbed."""
    # A worker dies with the thread that started it, so the threads end last.
    with ThreadPoolExecutor(_WORKERS) as pool, contextlib.ExitStack() as stack:
        examiners = [
            stack.enter_context(Examiner(configuration, beside_another=True)) for _ in range(_WORKERS)
        ]
        outcomes = _checked(pool, examiners, definitions, selection)
        for examiner in examiners:
            examiner.pause()
        for outcome in outcomes:
            outcome.test_clock()
            outcome.pause()
            yield outcome


def _checked(
    pool: ThreadPoolExecutor,
    examiners: list[Examiner],
    definitions: Sequence[TaskDefinition],
    selection: Selection,
) -> list[CheckOutcome]:
    """The cases of each task, in the order of ``definitions``; the largest networks are begun first."""
    free: queue.SimpleQueue[Examiner] = queue.SimpleQueue()
    for examiner in examiners:
        free.put(examiner)

    def check(definition: TaskDefinition) -> CheckOutcome:
        examiner = free.get()
        try:
            return CheckOutcome(examiner, definition, selection)
        finally:
            free.put(examiner)

    begun = {
        definition.name: pool.submit(check, definition)
        for definition in sorted(definitions, key=_size, reverse=True)
    }
    try:
        return [begun[definition.name].result() for definition in definitions]
    except BaseException:  # Ctrl-C reaches this thread alone
        pool.shutdown(wait=False, cancel_futures=True)
        for examiner in examiners:
            examiner.interrupt()
        wait([one for one in begun.values() if not one.cancelled()])
        raise


def _size(definition: TaskDefinition) -> int:
    """The number of arrays that are trained, with which the time for compilation grows."""
    return len(define_task(definition, definition.options()).parameters())
