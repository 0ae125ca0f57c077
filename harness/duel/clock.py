"""The clock proves itself: twice the steps must take twice the time."""

import statistics
from typing import NamedTuple

from harness.duel.contender import Contender
from harness.errors import HarnessError

_REPETITIONS = 3
#: What a block of 2n steps may take over one of n. A program that returns before the device has
#: finished is near 1, or anywhere; one with a fixed cost a call is a little below 2.
_HONEST = (1.5, 2.7)
_ATTEMPTS = 3
_SINGLE_STEPS = 5


class Clock(NamedTuple):
    """``ratio`` of the time of 2n steps to that of n; seconds a step; what a call costs beside its steps."""

    ratio: float
    step_seconds: float
    call_seconds: float


def prove_clock(contender: Contender, block_seconds: float) -> Clock:
    """Time blocks of n and 2n steps in turn, n so that a block is at least ``block_seconds`` long.

    Raises:
        HarnessError: the program's clock stops before the work is done, however long the blocks.
    """
    steps = _steps_for(contender, block_seconds)
    for _ in range(_ATTEMPTS):
        once, twice = [], []
        for _ in range(_REPETITIONS):
            once.append(contender.block(steps))
            twice += [contender.block(2 * steps), contender.block(2 * steps)]
            once.append(contender.block(steps))
        one, two = statistics.median(once), statistics.median(twice)
        ratio = two / one
        if _HONEST[0] <= ratio <= _HONEST[1]:
            alone = statistics.median(contender.block(1) for _ in range(_SINGLE_STEPS))
            return Clock(ratio, two / (2 * steps), max(0.0, alone - two / (2 * steps)))
        steps *= 2  # what disturbed a short block weighs less in a longer one
    raise HarnessError(
        f"its clock cannot be trusted: {steps} steps took {ratio:.2f} times as long as {steps // 2}, where 2 "
        "is expected; train() or synchronize() returns before the device has finished, or its cost does "
        "not follow its steps"
    )


def _steps_for(contender: Contender, seconds: float) -> int:
    """Steps that take about so long, by doubling."""
    steps = 1
    while (taken := contender.block(steps)) < seconds and steps < 1 << 20:
        steps = max(2 * steps, min(8 * steps, round(steps * seconds / max(taken, 1e-9))))
    return steps
