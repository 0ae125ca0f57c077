"""Test that ``synchronize`` blocks until the device is done: a second read of the weights is no faster."""

import random
import statistics
import time
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from harness.core.certify.cases import CLOCK_SAMPLES, Case
from harness.core.certify.observation import TrialPrograms
from harness.core.machine.usage import waited_seconds
from harness.core.training.batches import BatchOrder
from harness.spec.backend import Program

_REPETITIONS = 5
#: Work before each reading lasts at least this many seconds, unless steps are very short.
_BLOCK_SECONDS = 0.05
#: How much longer the first reading may take: a share of the work before it, or of a reading.
_UNFINISHED_SHARE = 0.05
_READING_SHARE = 0.2


class Waiting(msgspec.Struct, frozen=True):
    """What readings of the weights right after calls of ``train`` and ``synchronize`` found.

    ``unfinished_share`` is the least part of a block that was still going on in a reading after it.
    """

    unfinished_share: float
    fault: Literal["work left", "weights change"] | None = None

    @property
    def explanation(self) -> str:
        """What is wrong; empty if nothing is."""
        if self.fault is None:
            return ""
        if self.fault == "weights change":
            return "weights() gives other values when it is called again without training in between"
        return (
            f"after every block the device worked on, for at least {self.unfinished_share:.0%} of a block; "
            "train() or synchronize() must return only when the device is done"
        )


def observe_waiting(programs: TrialPrograms, case: Case) -> Waiting:
    """Train a program on new batches, and read its weights twice after each of some blocks.

    Other programs on the machine make readings longer at random; unfinished work makes all of them late.
    """
    block = _Blocks(programs, case)
    while block.make() < _BLOCK_SECONDS and block.steps < CLOCK_SAMPLES:
        block.steps *= 2
    block.program.weights()  # the first reading may compile
    late, blocks, usual = [], [], []
    for _ in range(_REPETITIONS):
        blocks.append(block.make())
        first, first_seconds = _reading(block.program)
        second, second_seconds = _reading(block.program)
        if any(not np.array_equal(first[name], second[name], equal_nan=True) for name in first):
            return Waiting(1.0, "weights change")
        late.append(first_seconds - second_seconds)
        usual.append(second_seconds)
    seconds = statistics.median(blocks)
    tolerated = max(
        _UNFINISHED_SHARE * max(seconds, _BLOCK_SECONDS), _READING_SHARE * statistics.median(usual)
    )
    return Waiting(max(0.0, min(late)) / seconds, "work left" if min(late) > tolerated else None)


class _Blocks:
    """Blocks of ``steps`` steps each, in calls that are as long as an epoch allows."""

    def __init__(self, programs: TrialPrograms, case: Case) -> None:
        self.program, data = programs.build_on(case.task, CLOCK_SAMPLES)
        seed = random.SystemRandom().getrandbits(31)  # no program can know the batches before
        self._order, self._dtype = BatchOrder.of_task(case.task, len(data), seed), data.inputs.dtype
        self._step = 0
        self.steps = 1

    def make(self) -> float:
        """Make the steps; return their seconds, by a clock that is read after ``synchronize``."""
        first, self._step, seconds = self._step, self._step + self.steps, 0.0
        for step, count in self._order.calls(first, self._step):
            steps = self._order.steps(step, count, self._dtype)
            start = time.perf_counter()
            self.program.train(steps)
            self.program.synchronize()
            seconds += time.perf_counter() - start
        return seconds


def _reading(program: Program) -> tuple[Mapping[str, np.ndarray], float]:
    """Read the weights; return them and the seconds, less those in which others had this thread's CPU.

    On a busy machine the kernel takes the CPU from a thread that has just computed for long, so the first
    reading after a block waits for a CPU more often than the second. Time in which other threads of this
    process compute counts: they may do the work that is left.
    """
    waited, others, start = waited_seconds() or 0.0, _other_threads(), time.perf_counter()
    weights = program.weights()
    seconds = time.perf_counter() - start
    waited = (waited_seconds() or 0.0) - waited
    return weights, seconds - max(0.0, waited - (_other_threads() - others))


def _other_threads() -> float:
    """Return the CPU time of this process's other threads, in seconds."""
    return time.process_time() - time.thread_time()
