"""The length of blocks, and the number of blocks that a pair has for each configuration.

The speed of a shared machine changes from second to second, but not from one hundredth of a second to the
next. So the shorter the blocks, the more alike the conditions of neighbouring blocks. With the steps of one
process cut into blocks that were compared in alternation, the error of the ratio over 3.4 s was 1.1 % with
blocks of 0.14 s, 0.7 % with 36 ms and 0.3 % with 18 ms. Pairs of equal processes of ``mlp``, ``rnn`` and
``cnn``, six each, had errors of 3.8, 2.4 and 3.1 % with ten blocks of 0.1 s or more, and of 1.5, 1.2 and 1.2
% with thirty to sixty shorter blocks in about the same time.

The fixed cost of a block sets the limit: after the block of the other configuration, caches are cold (0.5 to
0.7 ms in PyTorch and JAX on the CPU). Configurations of the same program pay the same cost, which makes a
difference smaller by about 2 % of itself. No steps are discarded at the start of a block: the discarded steps
would be the same in every epoch, and nothing in them would ever be measured. Configurations of different
programs may pay unequal costs, so their blocks are longer, and the cost is less than 1 %. On an accelerator
blocks are longer too: a process that was stopped has to be scheduled again.
"""

import math
import statistics
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from harness.timing.engine.pairs import TimedProgram

#: Blocks of the trial take at least this time; in longer blocks a fixed cost of a call weighs less.
_BLOCK_SECONDS = 0.11
_REPETITIONS = 3
_MOST_STEPS = 1 << 13
#: More calls would cost the harness itself more than the program.
_MOST_CALLS = 32


class Pace(NamedTuple):
    """Seconds per step, median and fastest, and the overhead of a call."""

    step_seconds: float
    quickest_step_seconds: float
    call_seconds: float


def measure_pace(timed: TimedProgram) -> Pace:
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


def _steps_for(timed: TimedProgram) -> int:
    most = min(_MOST_STEPS, _MOST_CALLS * timed.longest_call)
    steps = timed.even_steps(1)
    while (taken := timed.block(steps)) < _BLOCK_SECONDS and steps < most:
        # A little more than seems enough: another doubling would make every block twice as long.
        wanted = max(2 * steps, min(8 * steps, math.ceil(1.1 * steps * _BLOCK_SECONDS / max(taken, 1e-9))))
        steps = timed.even_steps(wanted)
    return steps


#: The shortest block of configurations of the same program on the CPU.
SHORTEST_BLOCK_SECONDS = 0.03
#: The shortest block of others. If a call into a framework has a fixed cost (Keras's ``fit``: tens of
#: milliseconds), blocks are so long that it is 1 % of them, up to a limit.
SHORTEST_MIXED_BLOCK_SECONDS = 0.11
_LONGEST_BLOCK_SECONDS = 2.0
_CALL_SHARE = 0.01
#: Speeds are alike if no configuration needs more than this many times the steps of another for a block.
_ALIKE = 2
#: Turns of a pair whose turns take one second; the fewest and the most of any pair.
_TURNS_OF_ONE_SECOND = 16
FEWEST_TURNS = 10
_MOST_TURNS = 60


def shortest_block_seconds(programs: Sequence[Hashable], devices: Sequence[str]) -> float:
    """Return the shortest block of configurations of these programs on these devices."""
    alike = len(set(programs)) == 1 and all(device.startswith("cpu") for device in devices)
    return SHORTEST_BLOCK_SECONDS if alike else SHORTEST_MIXED_BLOCK_SECONDS


def block_steps(pace: Pace, shortest_seconds: float) -> int:
    """Return the steps of a block of a configuration considered alone.

    The fastest step counts, so that a disturbed trial does not make the blocks short.
    """
    seconds = min(max(shortest_seconds, pace.call_seconds / _CALL_SHARE), _LONGEST_BLOCK_SECONDS)
    return math.ceil(seconds / pace.quickest_step_seconds)


def common_steps(programs: Sequence[Hashable], wanted: list[int]) -> list[int]:
    """Return the steps of the blocks of each configuration, from its program and the steps ``wanted`` alone.

    Configurations of the same program all have the largest number, and so have all configurations of similar
    speed. Their trials may have been disturbed unequally, and the fixed cost of a block weighs less on the
    configuration with the longer blocks, which would look like a difference. Configurations of different
    speed (another batch size, fewer threads) have their own number, because more steps would take long and
    add little.
    """
    if max(wanted) <= _ALIKE * min(wanted):
        return [max(wanted)] * len(wanted)
    return [
        max(other for theirs, other in zip(programs, wanted, strict=True) if theirs == ours)
        for ours in programs
    ]


def within_time(steps: Sequence[int], wanted: Sequence[int], paces: Sequence[Pace]) -> list[int]:
    """Return the ``steps`` of blocks, of which none takes much longer than the longest block.

    A configuration that is a thousand times faster than another of the same program, or seems so because it
    skips the work, would otherwise set the steps of both. They are at least those that the slowest
    ``wanted``.
    """
    longest = max(int(_LONGEST_BLOCK_SECONDS / max(pace.step_seconds for pace in paces)), min(wanted))
    return [min(count, longest) for count in steps]


def turns_that_pay(turn_seconds: float) -> int:
    """Return the number of turns of a pair whose turns take this time.

    The number is even, so that each configuration is first equally often. A pair takes F to start and c for a
    turn; its ratio has a variance of p² from its processes and t² / n from its n turns. The mean of all pairs
    that fit into a given time is most precise with n = (t / p) √(F / c). With F = 4.4 s and c = 0.24 s
    (``gan``) its variance was least with 22 to 40 turns; for ``mlp``, whose turns take 0.08 s, it still fell
    from 40 to 60.
    """
    wanted = 2 * round(_TURNS_OF_ONE_SECOND / math.sqrt(turn_seconds) / 2)
    return max(FEWEST_TURNS, min(_MOST_TURNS, wanted))
