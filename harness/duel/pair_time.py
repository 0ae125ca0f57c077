"""What the next pair will take: first as the trial of the configurations has it, then as pairs took."""

import statistics

from harness.duel.record import PairRecord

#: As many of the latest pairs are taken: the machine's load changes.
_LATEST = 3
#: Recomputing takes this share of the time of all pairs; the first pair is recomputed for all configurations.
_VERIFICATION_SHARE = 0.02


class PairTime:
    """The predicted ``seconds`` of the next pair; 0 before anything is known."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._made: list[float] = []

    def prepared(self, seconds: float) -> None:
        """The trial of the configurations predicts this."""
        self.seconds = seconds

    def made(self, pair: PairRecord) -> None:
        """A pair was made. What was recomputed of it does not count: it is not recomputed in every pair."""
        verified = sum(each.verification.seconds for each in pair.processes if each.verification is not None)
        self._made.append(pair.seconds - verified)
        self.seconds = (1 + _VERIFICATION_SHARE) * statistics.median(self._made[-_LATEST:])
