"""The outlook while a comparison is open: how many more pairs decide, and how many there is time for."""

import math
from typing import NamedTuple

#: Pairs are out of reach if about so many times as many are needed as there is time for.
_OUT_OF_REACH = 2.0
#: The trial and the first pairs predict the time of pairs to about a quarter.
_ROOM = 1.25
_MINUTES_FROM = 100


class Outlook(NamedTuple):
    """About ``pairs_wanted`` more pairs decide (None: no number does); there is time for ``pairs_left``."""

    pairs_wanted: int | None
    pairs_left: int
    pair_seconds: float
    is_hopeless: bool

    @property
    def seconds(self) -> float:
        """The estimated time until the comparison ends."""
        wanted = self.pairs_left if self.pairs_wanted is None else self.pairs_wanted
        return min(wanted, self.pairs_left) * self.pair_seconds


def pairs_in(seconds: float, pair_seconds: float, most: int) -> int:
    """Return the number of pairs that fit in ``seconds``; ``most`` while the time of one is unknown, 0."""
    if seconds <= 0:
        return 0
    is_limited = pair_seconds > 0 and seconds < math.inf
    return max(0, min(most, math.floor(seconds / pair_seconds))) if is_limited else most


def advised_budget(seconds: float) -> float:
    """Return the budget to advise where about ``seconds`` are needed: a quarter more, in full minutes.

    Below 100 s it is rounded to 10 s.
    """
    unit = 10 if _ROOM * seconds < _MINUTES_FROM else 60
    return float(unit * math.ceil(_ROOM * seconds / unit))


def out_of_reach(pairs_wanted: int | None, pairs_left: int) -> bool:
    """Check that so many pairs are wanted that making those that there is time for is hopeless."""
    return pairs_wanted is None or pairs_wanted > _OUT_OF_REACH * pairs_left
