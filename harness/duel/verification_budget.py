"""Which processes of a duel have their work recomputed, within a share of its time."""

from collections.abc import Iterable, Sequence

from harness.duel.record import ProcessRecord

#: Recomputing takes at most this share of the time of all pairs, once each workload has been verified.
_SHARE = 0.02


class VerificationBudget:
    """Each workload is verified in its first pair, then the one whose turn it is if there is time."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._seconds = self._verified_seconds = 0.0

    def chosen(self, order: Sequence[int]) -> set[int]:
        """Of the workloads in this random order, those whose processes are verified in this pair."""
        unverified = {index for index in order if not self._times.get(index)}
        if unverified or self._verified_seconds > _SHARE * self._seconds:
            return unverified
        return {min(order, key=lambda index: self._times[index])}

    def add(self, processes: Iterable[ProcessRecord], seconds: float) -> None:
        """A pair of this duration ended with these processes."""
        self._seconds += seconds
        for index, process in enumerate(processes):
            if process.verification is not None:
                self._times[index] = self._times.get(index, 0) + 1
                self._verified_seconds += process.verification.seconds
