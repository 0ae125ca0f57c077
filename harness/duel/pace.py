"""The pace of a workload in a trial: the time of a step, and what a call costs beside its steps."""

import math
import statistics
from typing import NamedTuple, Protocol

#: Blocks of so many steps are made; in longer ones a fixed cost of a call weighs less.
_BLOCK_SECONDS = 0.11
_REPETITIONS = 3
_MOST_STEPS = 1 << 13
#: Of many calls, each costs the harness itself more than the program.
_MOST_CALLS = 32


class Pace(NamedTuple):
    """Seconds per step, median and fastest; the overhead of a call."""

    step_seconds: float
    quickest_step_seconds: float
    call_seconds: float


class Timed(Protocol):
    """A program that makes steps of the full batch size."""

    @property
    def longest_call(self) -> int:
        """The most steps that one call can make."""

    def block(self, steps: int) -> float:
        """Make this many steps; their seconds."""

    def even_steps(self, fewest: int) -> int:
        """At least so many steps, in calls of one length."""


def measure_pace(timed: Timed) -> Pace:
    """Make blocks of at least 0.11 s, and single steps between them."""
    steps = _steps_for(timed)
    seconds, overheads = [], []
    for _ in range(_REPETITIONS):
        blocks = [timed.block(steps), timed.block(steps)]
        # Neighbouring blocks, the fastest of each and the least over all repetitions: neither a change of the
        # machine's speed in between nor a hiccup must count as the overhead of a call.
        alone = min(timed.block(1) for _ in range(_REPETITIONS))
        overheads.append(alone - min(blocks) / steps)
        seconds += blocks
    return Pace(statistics.median(seconds) / steps, min(seconds) / steps, max(0.0, min(overheads)))


def _steps_for(timed: Timed) -> int:
    """The number of steps of a block, found by doubling."""
    most = min(_MOST_STEPS, _MOST_CALLS * timed.longest_call)
    steps = timed.even_steps(1)
    while (taken := timed.block(steps)) < _BLOCK_SECONDS and steps < most:
        # A little more than seems enough: another doubling would make every block twice as long.
        wanted = max(2 * steps, min(8 * steps, math.ceil(1.1 * steps * _BLOCK_SECONDS / max(taken, 1e-9))))
        steps = timed.even_steps(wanted)
    return steps
