"""How long blocks are, and how many of them a pair has for each configuration.

A shared machine's speed changes from second to second, but not from one hundredth to the next. So the shorter
the blocks, the more alike the conditions of neighbouring blocks. When the steps of one process were cut into
blocks and compared with each other in alternation, the error of the ratio over 3.4 s was 1.1 % with blocks of
0.14 s, 0.7 % with 36 ms and 0.3 % with 18 ms. Pairs of equal processes of ``mlp``, ``rnn`` and ``cnn``, six
each, had errors of 3.8, 2.4 and 3.1 % with ten blocks of 0.1 s or more, and of 1.5, 1.2 and 1.2 % with thirty
to sixty shorter ones in about the same time.

The fixed cost of a block sets the limit: after the other configuration's block caches are cold (0.5 to 0.7 ms
in PyTorch and JAX on the CPU). Configurations of the same program pay it equally, which makes a difference
smaller by about 2 % of itself. No steps are discarded at the start of a block: they would be the same steps
of every epoch, and whatever happens in them would never be measured. Configurations of different programs, of
which one may pay more, have longer blocks, in which the cost is less than 1 %. So have configurations on an
accelerator, where a process that was stopped has to be scheduled again and energy counters tick slowly.
"""

import math
from collections.abc import Hashable, Sequence

from harness.duel.pace import Pace

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
    """For configurations of these programs on these devices, named as backends name them."""
    alike = len(set(programs)) == 1 and all(device.startswith("cpu") for device in devices)
    return SHORTEST_BLOCK_SECONDS if alike else SHORTEST_MIXED_BLOCK_SECONDS


def block_steps(pace: Pace, shortest_seconds: float) -> int:
    """Steps of a block of a configuration considered alone.

    By the fastest step seen, so that a disturbed trial does not make the blocks short.
    """
    seconds = min(max(shortest_seconds, pace.call_seconds / _CALL_SHARE), _LONGEST_BLOCK_SECONDS)
    return math.ceil(seconds / pace.quickest_step_seconds)


def common_steps(programs: Sequence[Hashable], wanted: list[int]) -> list[int]:
    """Steps of the blocks of each configuration, from its program and the steps it needs alone.

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


def turns_that_pay(turn_seconds: float) -> int:
    """The number of turns of a pair whose turns take this time: even, so that each is first equally often.

    A pair takes F to start and c for a turn; its ratio has a variance of p² from its processes and t² / n
    from its n turns. The mean of all pairs that fit into a given time is most precise with n = (t / p) √(F /
    c). With F = 4.4 s and c = 0.24 s (``gan``) its variance was least with 22 to 40 turns; for ``mlp``, whose
    turns take 0.08 s, it still fell from 40 to 60.
    """
    wanted = 2 * round(_TURNS_OF_ONE_SECOND / math.sqrt(turn_seconds) / 2)
    return max(FEWEST_TURNS, min(_MOST_TURNS, wanted))
