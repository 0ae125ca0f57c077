"""When warm-up ends: when step times have settled, by a stated rule, not after a fixed count."""

from collections.abc import Sequence

#: Blocks on each side of the comparison.
_WINDOW = 2
FEWEST_BLOCKS = 2 * _WINDOW
#: Settled: the later window's quickest block is less than this share below the earlier one's.
_STILL_FALLING = 0.02
#: A process whose steps have not settled after so many blocks is measured as it is, and the record says so.
MOST_BLOCKS = 24


def has_settled(block_seconds: Sequence[float]) -> bool:
    """Whether the quicker of the last two blocks is no longer faster by 2 % than that of the two before.

    The quicker, for a hiccup makes a block longer only. Only a fall counts: what makes warm-up (caches,
    allocators, compilers) makes steps faster, and a rise is the machine's, which no waiting mends.
    """
    if len(block_seconds) < FEWEST_BLOCKS:
        return False
    earlier = min(block_seconds[-FEWEST_BLOCKS:-_WINDOW])
    later = min(block_seconds[-_WINDOW:])
    return later > earlier * (1.0 - _STILL_FALLING)
