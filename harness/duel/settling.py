"""When warm-up ends: when step times have settled, by a stated rule, not after a fixed count."""

import math
import statistics
from collections.abc import Sequence

#: Blocks on each side of the comparison, and what they take at least: of short blocks it takes more of them
#: until caches and allocators have seen what they will see.
_FEWEST_OF_A_WINDOW = 2
_WINDOW_SECONDS = 0.2
#: No warm-up takes less.
FEWEST_SECONDS = 2 * _WINDOW_SECONDS
#: Settled: the later window's quickest block is less than this share below the earlier one's.
_STILL_FALLING = 0.02
#: A process whose steps have not settled after so many blocks, or in so many seconds of shorter ones, is
#: measured as it is, and the record says so.
_MOST_BLOCKS = 24
_MOST_SECONDS_OF_SHORT = 2.6


def has_settled(block_seconds: Sequence[float]) -> bool:
    """Whether the quickest block of the last window is no longer faster by 2 % than that of the one before.

    The quickest, for a hiccup makes a block longer only. Only a fall counts: what makes warm-up (caches,
    allocators, compilers) makes steps faster, and a rise is the machine's, which no waiting mends.
    """
    if len(block_seconds) < 2 * _FEWEST_OF_A_WINDOW:
        return False
    window = _window(statistics.median(block_seconds))
    if len(block_seconds) < 2 * window:
        return False
    earlier = min(block_seconds[-2 * window : -window])
    later = min(block_seconds[-window:])
    return later > earlier * (1.0 - _STILL_FALLING)


def is_hopeless(block_seconds: Sequence[float]) -> bool:
    """Whether these were enough, settled or not."""
    return len(block_seconds) >= _MOST_BLOCKS and sum(block_seconds) >= _MOST_SECONDS_OF_SHORT


def fewest_blocks(seconds: float) -> int:
    """Of so many seconds each, before any can be said to have settled."""
    return 2 * _window(seconds)


def _window(seconds: float) -> int:
    return max(_FEWEST_OF_A_WINDOW, math.ceil(_WINDOW_SECONDS / seconds))
