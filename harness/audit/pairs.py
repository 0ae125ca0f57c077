"""Which processes of a duel are verified, within a share of its time."""

import random
from collections.abc import Sequence

from harness.audit.budgets import AUDIT_SHARE, FIRST_PAIRS

_RNG = random.SystemRandom()


class PairAudit:
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
            self._first.setdefault(index, _RNG.randrange(self._drawn_from))
        if unverified or self._verified_seconds > AUDIT_SHARE * self._seconds:
            return {index for index in unverified if self._first[index] <= self._pairs}
        return {min(order, key=lambda index: self._times[index])}

    def add(self, verified_seconds: Sequence[float | None], seconds: float) -> None:
        """A pair of this duration ended; what verifying each workload took, None where it was not."""
        self._pairs += 1
        self._seconds += seconds
        for index, taken in enumerate(verified_seconds):
            if taken is not None:
                self._times[index] = self._times.get(index, 0) + 1
                self._verified_seconds += taken
