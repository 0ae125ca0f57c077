"""A check of a worker's clock: work is done when it stops, and twice the steps take twice the time."""

import statistics
import time
from typing import NamedTuple

from harness.duel.timed_worker import TimedWorker
from harness.errors import HarnessError
from harness.worker import protocol

#: The least length of the blocks of this check, even if a duel's are shorter: hiccups weigh less in them.
_TRIED_SECONDS = 0.11
_REPETITIONS = 3
#: The accepted time of 2n steps over that of n. A fixed cost for each call makes it a little less than 2.
_HONEST = (1.5, 2.7)
_ATTEMPTS = 3
_SINGLE_STEPS = 3
_MOST_STEPS = 1 << 13
#: How much longer reading the weights right after a block may take than reading them again: a share of the
#: duel's shortest block of these steps, or of the reading (the first comes with cold caches). The least
#: excess of all readings counts; it was at most 0.3 ms for four tasks in PyTorch, Keras and JAX on the CPU.
_UNFINISHED_SHARE = 0.05
_READING_SHARE = 0.2
_READINGS = 5


class Clock(NamedTuple):
    """Time of 2n steps over that of n; seconds per step, median and fastest; overhead of a call."""

    ratio: float
    step_seconds: float
    quickest_step_seconds: float
    call_seconds: float


def prove_clock(worker: TimedWorker, shortest_block_seconds: float) -> Clock:
    """Time blocks of n and 2n steps in alternation, with n such that a block lasts at least 0.11 s.

    The duel's own blocks may be as short as ``shortest_block_seconds``, or as one step if that is longer.

    Raises:
        HarnessError: the program's clock stops before the work is done, or does not follow the steps.
    """
    steps = _steps_for(worker, _TRIED_SECONDS)
    _refuse_unfinished_work(worker, steps, shortest_block_seconds)
    for _ in range(_ATTEMPTS):
        more = worker.order.even_steps(2 * steps)
        once, twice, calls = [], [], []
        for _ in range(_REPETITIONS):
            once.append(worker.block(steps))
            twice += [worker.block(more), worker.block(more)]
            # Neighbouring blocks, the fastest of each and the least over all repetitions: neither a change of
            # the machine's speed in between nor a hiccup must count as the overhead of a call.
            alone = min(worker.block(1) for _ in range(_SINGLE_STEPS))
            calls.append(alone - min(twice[-2:]) / more)
            once.append(worker.block(steps))
        # The fastest of each: a disturbance only makes a block longer, and is no fault of its clock.
        step_of_once, step_of_twice = min(once) / steps, min(twice) / more
        ratio = 2 * step_of_twice / step_of_once
        if _HONEST[0] <= ratio <= _HONEST[1]:
            return Clock(ratio, statistics.median(twice) / more, step_of_twice, max(0.0, min(calls)))
        steps = more  # a disturbance weighs less in a longer block
    raise HarnessError(
        f"its clock cannot be trusted: twice the steps took {ratio:.2f} times as long instead of 2 times"
    )


def _steps_for(worker: TimedWorker, seconds: float) -> int:
    """The number of steps that take about this time, found by doubling."""
    steps = worker.order.even_steps(1)
    while (taken := worker.block(steps)) < seconds and steps < _MOST_STEPS:
        wanted = max(2 * steps, min(8 * steps, round(steps * seconds / max(taken, 1e-9))))
        steps = worker.order.even_steps(wanted)
    return steps


def _refuse_unfinished_work(worker: TimedWorker, steps: int, shortest_block_seconds: float) -> None:
    """Read the weights right after a block, and again: both must take the same time.

    Weights can be read only when all work is done. Doubling the steps does not find a block that returns
    early, because the time to enqueue work on a device follows the number of steps too.
    """
    blocks, excesses, readings = [], [], []
    for _ in range(_ATTEMPTS):  # the delay of a busy machine passes, that of a dishonest clock does not
        for _ in range(_READINGS):
            blocks.append(worker.block(steps))
            first, again = _reading_seconds(worker), _reading_seconds(worker)
            excesses.append(first - again)
            readings.append(again)
        block, excess, reading = statistics.median(blocks), min(excesses), statistics.median(readings)
        shortest = max(shortest_block_seconds, block / steps)
        if excess <= max(_UNFINISHED_SHARE * shortest, _READING_SHARE * reading):
            return
    raise HarnessError(
        f"its clock cannot be trusted: {steps} steps reportedly took {block:.3g} s, but the device "
        f"worked for {excess:.3g} s more; train() or synchronize() must return only when the device is done"
    )


def _reading_seconds(worker: TimedWorker) -> float:
    start = time.perf_counter()
    worker.session.call(protocol.KeepWeights(), protocol.Done)
    return time.perf_counter() - start
