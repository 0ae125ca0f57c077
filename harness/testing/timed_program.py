"""A program of this process as the test of its clock sees it."""

import os
import time

from harness.machine.hindrance import Hindrance
from harness.spec.backend import Program
from harness.testing.readings import Reading
from harness.testing.timed_blocks import TimedBlocks
from harness.testing.weights_checksum import weights_checksum
from harness.training.batches import BatchOrder


class TimedProgram:
    """Times blocks of a program as a worker does."""

    def __init__(self, program: Program, order: BatchOrder) -> None:
        self._program = program
        self._order = order
        self._step = 0
        self._hindrance = Hindrance([os.getpid()])
        blocks = TimedBlocks(order, self._train)
        self.block, self.even_steps = blocks.block, blocks.even_steps
        self.longest_call = blocks.longest_call

    def _train(self, count: int) -> float:
        steps = self._order.steps(self._step, count)
        self._step += count
        start = time.perf_counter()
        self._program.train(steps)
        self._program.synchronize()
        return time.perf_counter() - start

    def reading(self) -> Reading:
        """Read the weights."""
        start = time.perf_counter()
        weights = self._program.weights()
        return Reading(time.perf_counter() - start, weights_checksum(weights))

    def hindered(self) -> float:
        """Seconds since the last call in which it had work and no CPU."""
        return self._hindrance.seconds()

    #: Of no influence here.
    threads = 1

    def rest(self, seconds: float) -> float:
        """Ask nothing of it. Threads of this process may be of others, so nothing is known of its work."""
        time.sleep(seconds)
        return 0.0
