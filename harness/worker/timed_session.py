"""The program of a worker as the test of its clock sees it."""

import time
from collections.abc import Callable

from harness.machine.disturbance import cpu_seconds
from harness.machine.hindrance import Hindrance
from harness.testing.readings import Reading
from harness.testing.timed_blocks import TimedBlocks
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.session import Session
from harness.worker.training_clock import TrainingClock


class TimedReadings:
    """Readings of a worker's weights by the clock of this process, and who kept the worker waiting."""

    def __init__(self, session: Session, threads: int) -> None:
        self._session = session
        self.threads = threads
        self._hindrance = Hindrance([session.process.pid])

    def reading(self) -> Reading:
        """Read the weights; raises as :meth:`Session.receive` does."""
        start = time.perf_counter()
        read = self._session.call(protocol.ReadWeights(), protocol.WeightsRead)
        return Reading(time.perf_counter() - start, read.checksum)

    def hindered(self) -> float:
        """Seconds since the last call in which it had work and no CPU."""
        return self._hindrance.seconds()

    def rest(self, seconds: float) -> float:
        """Ask nothing of it; how many CPUs it used meanwhile."""
        pid = self._session.process.pid
        start, before = time.monotonic(), cpu_seconds(pid)
        time.sleep(seconds)
        return (cpu_seconds(pid) - before) / (time.monotonic() - start)


class TimedSession(TimedReadings):
    """A worker whose program makes further steps of this order for the test alone."""

    def __init__(
        self, session: Session, threads: int, order: BatchOrder, clock: TrainingClock, step: int = 0
    ) -> None:
        """``step`` is the number of steps that the program has made."""
        super().__init__(session, threads)
        train: Callable[[int], float] = lambda steps: clock.train(steps).seconds  # noqa: E731
        blocks = TimedBlocks(order, train, step)
        self.block, self.even_steps = blocks.block, blocks.even_steps
        self.longest_call = blocks.longest_call
