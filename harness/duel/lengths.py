"""How long blocks are, and how many a pair has of each side.

A shared machine's pace changes from second to second and not from one hundredth to the next, so the shorter
the blocks, the more alike is what neighbours meet. Over the steps of one process, cut into blocks that were
told against each other in turn, the ratio over 3.4 s was off by 1.1 % with blocks of 0.14 s, by 0.7 % with
36 ms and by 0.3 % with 18 ms. Pairs of equal processes of ``mlp``, ``rnn`` and ``cnn``, six each, were off by
3.8, 2.4 and 3.1 % with ten blocks of a tenth of a second or more, and by 1.5, 1.2 and 1.2 % with thirty to
sixty shorter ones in about the same time.

What a block costs by itself sets the limit: after the other side's, caches are cold (0.5 to 0.7 ms in PyTorch
and JAX on the CPU). Sides of one program pay that alike, so that it makes a difference smaller by some 2 %
of itself. No steps go first uncounted: they would be the same ones of every epoch, and what falls on them
would never be seen. Sides of other programs, of which one may pay more, have longer blocks, in
which it is less than a hundredth; and so have sides on an accelerator, where a process that was stopped
takes its place anew and counters of energy tick slowly.
"""

import math
from collections.abc import Hashable, Sequence

from harness.duel.clock import Clock

#: The shortest block of sides of one program on the CPU.
SHORTEST_BLOCK_SECONDS = 0.03
#: The shortest of others. Where a call into a framework costs something by itself (Keras's ``fit``: tens of
#: milliseconds), blocks are so long that this is a hundredth of them, up to a limit.
SHORTEST_MIXED_BLOCK_SECONDS = 0.11
_LONGEST_BLOCK_SECONDS = 2.0
_CALL_SHARE = 0.01
#: Paces are alike where no side's blocks want more than so many times the steps of another's.
_ALIKE = 2

#: Turns of a pair, were each to take one second; the fewest and the most of any.
_TURNS_OF_ONE_SECOND = 16
FEWEST_TURNS = 10
_MOST_TURNS = 60


def shortest_block_seconds(programs: Sequence[Hashable], devices: Sequence[str]) -> float:
    """Of sides of these programs on these devices, as their backends name them."""
    alike = len(set(programs)) == 1 and all(device.startswith("cpu") for device in devices)
    return SHORTEST_BLOCK_SECONDS if alike else SHORTEST_MIXED_BLOCK_SECONDS


def block_steps(clock: Clock, shortest_seconds: float) -> int:
    """Steps of a block that a side by itself would have.

    By the quickest pace that was seen, so that a disturbed trial does not make the blocks short.
    """
    seconds = min(max(shortest_seconds, clock.call_seconds / _CALL_SHARE), _LONGEST_BLOCK_SECONDS)
    return math.ceil(seconds / clock.quickest_step_seconds)


def common_steps(programs: Sequence[Hashable], wanted: list[int]) -> list[int]:
    """Steps of each side's blocks, given its program and what each wants.

    Sides of one program have the same, the largest, and so have all sides where their paces are alike. Their
    trials may have been disturbed unequally, and a block has a fixed cost, which would weigh less on the side
    with the longer blocks and so pass for a difference. Sides of other paces (another batch size, fewer
    threads) have their own, for more steps would be a long wait for no more news.
    """
    if max(wanted) <= _ALIKE * min(wanted):
        return [max(wanted)] * len(wanted)
    return [
        max(other for theirs, other in zip(programs, wanted, strict=True) if theirs == ours)
        for ours in programs
    ]


def turns_that_pay(turn_seconds: float) -> int:
    """How many turns a pair has where each takes so long: an even number, so that each is first as often.

    A pair takes F to start and c a turn, and its ratio has a variance of p², by its processes, and t² / n, by
    its n turns. The mean of all pairs that fit in a given time is then surest with n = (t / p) √(F / c). With
    F = 4.4 s and c = 0.24 s (``gan``) the variance in a given time was least with 22 to 40 turns; of ``mlp``,
    whose turns take 0.08 s, it still fell from 40 to 60.
    """
    wanted = 2 * round(_TURNS_OF_ONE_SECOND / math.sqrt(turn_seconds) / 2)
    return max(FEWEST_TURNS, min(_MOST_TURNS, wanted))
