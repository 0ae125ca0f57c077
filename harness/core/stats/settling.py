"""When warm-up ends: when step times have settled, by a stated rule, not after a fixed count.

Duels warm up by this rule before they measure; runs leave out by it what their warm-up took.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

#: The least number of blocks, and the least time, of each of the two windows that are compared. Short blocks
#: need more of them before caches and allocators have reached their steady state.
_FEWEST_OF_A_WINDOW = 2
_WINDOW_SECONDS = 0.2
#: Settled: the later window's fastest block is less than this share faster than the earlier one's.
_STILL_FALLING = 0.02
#: A process that has not settled after this many blocks, or after this time with shorter blocks, is measured
#: as it is, and the record says so.
_MOST_BLOCKS = 24
_MOST_SECONDS_OF_SHORT = 2.6


class Steady(NamedTuple):
    """The index of the first block after the warm-up, and whether the blocks have settled there."""

    first: int
    settled: bool


def has_settled(block_seconds: Sequence[float]) -> bool:
    """Check that the fastest block of the last window is less than 2 % faster than that of the window before.

    The fastest block is taken because a hiccup only makes a block longer. Only a fall counts: warm-up
    (caches, allocators, compilers) makes steps faster, while a rise comes from the machine, and waiting does
    not help.
    """
    if len(block_seconds) < 2 * _FEWEST_OF_A_WINDOW:
        return False
    return _is_level(block_seconds, _window(statistics.median(block_seconds)))


def _is_level(seconds: Sequence[float], window: int) -> bool:
    """Check that the last window of these blocks is about as fast as the window before."""
    if len(seconds) < 2 * window:
        return False
    earlier = min(seconds[-2 * window : -window])
    later = min(seconds[-window:])
    return later > earlier * (1.0 - _STILL_FALLING)


def is_hopeless(block_seconds: Sequence[float]) -> bool:
    """Check that warm-up ends after these blocks even if they have not settled."""
    return len(block_seconds) >= _MOST_BLOCKS and sum(block_seconds) >= _MOST_SECONDS_OF_SHORT


def steady_part(block_seconds: Sequence[float], step_seconds: Sequence[float]) -> Steady:
    """Find the end of the warm-up of a finished series of blocks; their numbers of steps may differ.

    Of the first two windows that agree the later window is steady. If the warm-up is hopeless,
    the blocks after it are returned as not settled; if the series ends before its blocks have settled, its
    later half.
    """
    count = len(block_seconds)
    window = _window(statistics.median(block_seconds[:_MOST_BLOCKS])) if count else _FEWEST_OF_A_WINDOW
    for end in range(2 * window, count + 1):
        if _is_level(step_seconds[end - 2 * window : end], window):
            return Steady(end - window, settled=True)
        if end < count and is_hopeless(block_seconds[:end]):
            return Steady(end, settled=False)
    return Steady(count // 2, settled=False)


def fewest_blocks(seconds: float) -> int:
    """Return the least number of blocks of this length before times can count as settled."""
    return 2 * _window(seconds)


def _window(seconds: float) -> int:
    return max(_FEWEST_OF_A_WINDOW, math.ceil(_WINDOW_SECONDS / seconds))
