"""Evidence that time is missing from what a worker reports, weighed against what a busy machine does.

Others delay the messages of a call by chance, by an amount that does not grow with the call. A clock that is
too slow loses the same share of every call. So calls are weighed in sequence (Page 1954, *Continuous
Inspection Schemes*): each adds the logarithm of how much more likely it is under a slow clock than under
delays. A call of which nothing is missing counts against it, down to 0.
"""

import math

#: A call counts if more is missing than this time and share. Larger shares are found on a busy machine too.
_SECONDS = 0.001
_SHARES = (0.03, 0.07, 0.25)
#: Shorter calls than this do not count: their messages take as long as they do.
_SHORTEST_SECONDS = 0.005
#: How often a slow clock shows in a call.
_SHOWN = 0.9
#: An honest call is delayed by so much with at least this probability, however quiet the machine seems ...
_LEAST_CHANCE = 0.1
#: ... and says nothing if the probability is larger than this, whatever the distribution of the delays.
_MOST_CHANCE = 0.5
#: A message waits for a CPU at about so many moments: when the worker wakes up, and while it draws batches
#: and hands over losses. Waits count as exponentially distributed, with this multiple of the call's mean.
_MOMENTS = 2.0
_WAITS = 2.0
#: The mean wait where the system does not report it.
_USUAL_WAIT_SECONDS = 0.01
#: The logarithm of the odds that accuse. On a quiet machine ten calls reach it.
_PROOF = 21.0


class MissingTime:
    """Weighs the calls of one worker."""

    def __init__(self) -> None:
        self._evidence = dict.fromkeys(_SHARES, 0.0)

    def add(self, observed: float, reported: float, missing: float = 0.0, wait: float | None = 0.0) -> None:
        """Count a call of ``observed`` seconds of which ``missing`` are not accounted for.

        ``wait`` is the mean duration of the waits for a CPU in this call; None if unknown.
        """
        if reported < _SHORTEST_SECONDS:
            return
        for share, evidence in self._evidence.items():
            tolerated = _SECONDS + share * observed
            by_chance = _chance(tolerated, _USUAL_WAIT_SECONDS if wait is None else wait)
            weight = 0.0
            if missing <= tolerated:
                weight = math.log((1 - _SHOWN) / (1 - by_chance))
            elif by_chance <= _MOST_CHANCE:
                weight = math.log(_SHOWN / by_chance)
            self._evidence[share] = max(0.0, evidence + weight)

    @property
    def is_proven(self) -> bool:
        """Whether delays do not explain what is missing."""
        return max(self._evidence.values()) >= _PROOF


def _chance(seconds: float, wait: float) -> float:
    """The probability that others delay the messages of a call by more than this time."""
    longer = math.exp(-seconds / (_WAITS * wait)) if wait > 0 else 0.0
    return max(_LEAST_CHANCE, 1 - math.exp(-_MOMENTS * longer))
