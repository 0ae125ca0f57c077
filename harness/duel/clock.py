"""The clock proves itself: when it stops the work is done, and twice the steps take twice the time."""

import statistics
import time
from typing import NamedTuple

from harness.duel.timed_worker import TimedWorker
from harness.errors import HarnessError
from harness.worker import protocol

#: Blocks that are tried are at least so long, also where a duel's are shorter: a hiccup weighs less in them.
_TRIED_SECONDS = 0.11
_REPETITIONS = 3
#: What a block of 2n steps may take over one of n: one with a fixed cost a call is a little below 2.
_HONEST = (1.5, 2.7)
_ATTEMPTS = 3
_SINGLE_STEPS = 3
_MOST_STEPS = 1 << 13
#: What reading the weights right after a block may take longer than reading them again: of the shortest block
#: that a duel may make of these steps, or of that reading (the first comes with cold caches). The least of so
#: many tries counts; it was 0.3 ms at most for four tasks in PyTorch, Keras and JAX on the CPU.
_UNFINISHED_SHARE = 0.05
_READING_SHARE = 0.2
_READINGS = 5


class Clock(NamedTuple):
    """Time of 2n steps over that of n; seconds a step, median and quickest; what a call costs beside."""

    ratio: float
    step_seconds: float
    quickest_step_seconds: float
    call_seconds: float


def prove_clock(contender: TimedWorker, shortest_block_seconds: float) -> Clock:
    """Time blocks of n and 2n steps in turn, n so that a block is at least a tenth of a second long.

    A duel's blocks may be as short as ``shortest_block_seconds``, or as one step where that takes longer.

    Raises:
        HarnessError: the program's clock stops before the work is done, or does not follow the steps.
    """
    steps = _steps_for(contender, _TRIED_SECONDS)
    _refuse_unfinished_work(contender, steps, shortest_block_seconds)
    for _ in range(_ATTEMPTS):
        more = contender.order.even_steps(2 * steps)
        once, twice, calls = [], [], []
        for _ in range(_REPETITIONS):
            once.append(contender.block(steps))
            twice += [contender.block(more), contender.block(more)]
            # Next to each other, the quickest of each, and the least of all repetitions: a machine that
            # changes its pace in between, or a hiccup, must not pass for the cost of a call.
            alone = min(contender.block(1) for _ in range(_SINGLE_STEPS))
            calls.append(alone - min(twice[-2:]) / more)
            once.append(contender.block(steps))
        # The quickest of each: what disturbs a block only makes it longer, and is no lie of its clock.
        one, two = min(once) / steps, min(twice) / more
        ratio = 2 * two / one
        if _HONEST[0] <= ratio <= _HONEST[1]:
            return Clock(ratio, statistics.median(twice) / more, two, max(0.0, min(calls)))
        steps = more  # what disturbed a short block weighs less in a longer one
    raise HarnessError(
        f"its clock cannot be trusted: twice the steps took {ratio:.2f} times as long, where 2 is expected"
    )


def _steps_for(contender: TimedWorker, seconds: float) -> int:
    """Steps that take about so long, by doubling."""
    steps = contender.order.even_steps(1)
    while (taken := contender.block(steps)) < seconds and steps < _MOST_STEPS:
        wanted = max(2 * steps, min(8 * steps, round(steps * seconds / max(taken, 1e-9))))
        steps = contender.order.even_steps(wanted)
    return steps


def _refuse_unfinished_work(contender: TimedWorker, steps: int, shortest_block_seconds: float) -> None:
    """Weights can only be read when all is done: right after a block that must not take longer than again.

    The time of a block that returns early follows its steps too, for so does what it takes to ask a
    device for them; so twice the steps alone would not find it.
    """
    blocks, excesses, readings = [], [], []
    for _ in range(_ATTEMPTS):  # what a busy machine adds for a while, a clock that lies adds always
        for _ in range(_READINGS):
            blocks.append(contender.block(steps))
            first, again = _reading_seconds(contender), _reading_seconds(contender)
            excesses.append(first - again)
            readings.append(again)
        block, excess, reading = statistics.median(blocks), min(excesses), statistics.median(readings)
        shortest = max(shortest_block_seconds, block / steps)
        if excess <= max(_UNFINISHED_SHARE * shortest, _READING_SHARE * reading):
            return
    raise HarnessError(
        f"its clock cannot be trusted: after {steps} steps, said to have taken {block:.3g} s, the device "
        f"worked for {excess:.3g} s more; train() or synchronize() must return when it has finished"
    )


def _reading_seconds(contender: TimedWorker) -> float:
    start = time.perf_counter()
    contender.session.call(protocol.KeepWeights(), protocol.Done)
    return time.perf_counter() - start
