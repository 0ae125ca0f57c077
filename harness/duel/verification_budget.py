"""Which processes of a duel have their work recomputed, within a share of its time."""

import random
from collections.abc import Iterable, Sequence

from harness.duel.record import ProcessRecord

_CHANCE = random.SystemRandom()
#: Recomputing takes at most this share of the time of all pairs, once each workload has been verified.
_SHARE = 0.02
#: In which of so many first pairs a workload is verified is drawn: a program that uses what another process
#: left behind would be honest in a first one that is known to be verified. No judgement needs fewer pairs.
FIRST_PAIRS = 3


class VerificationBudget:
    """Each workload is verified in one of its first pairs, then the one whose turn it is if there is time."""

    def __init__(self, pairs: int = FIRST_PAIRS) -> None:
        """``pairs``: so many will be made, or more."""
        self._drawn_from = min(FIRST_PAIRS, pairs)
        self._first: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._pairs = 0
        self._seconds = self._verified_seconds = 0.0

    def chosen(self, order: Sequence[int]) -> set[int]:
        """Of the workloads in this random order, those whose processes are verified in this pair."""
        unverified = {index for index in order if not self._times.get(index)}
        for index in unverified:
            self._first.setdefault(index, _CHANCE.randrange(self._drawn_from))
        if unverified or self._verified_seconds > _SHARE * self._seconds:
            return {index for index in unverified if self._first[index] <= self._pairs}
        return {min(order, key=lambda index: self._times[index])}

    def add(self, processes: Iterable[ProcessRecord], seconds: float) -> None:
        """A pair of this duration ended with these processes."""
        self._pairs += 1
        self._seconds += seconds
        for index, process in enumerate(processes):
            if process.verification is not None:
                self._times[index] = self._times.get(index, 0) + 1
                self._verified_seconds += process.verification.seconds
