"""What a run keeps about privacy: the claim of DP-SGD, and losses by which membership is inferred.

Without NumPy, which the commands that list records do not need.
"""

import msgspec

from harness.core.runs.record import Record
from harness.core.training.outcome_records import SampleScores

#: The names of the entries of :attr:`Record.extensions`.
PRIVACY, MEMBERSHIP = "privacy", "membership"
#: How a record says which samples differ between the two data sets that are hard to tell apart.
NEIGHBOURS = "one training sample added or removed"


class PrivacyClaim(msgspec.Struct, frozen=True):
    """(epsilon, delta) of ``steps`` steps, each with every sample at the probability ``sampling_rate``.

    ``epsilon`` is an upper bound by the privacy loss distribution, which needs no conversion.
    ``epsilon_rdp`` is the bound by Rényi differential privacy, and ``conversion`` names the formula that
    converts it. Both are None for infinite.
    """

    epsilon: float | None
    epsilon_rdp: float | None
    delta: float
    noise: float
    clip: float
    sampling_rate: float
    steps: int
    samples: int
    neighbours: str = NEIGHBOURS
    accountant: str = ""
    conversion: str = ""

    @property
    def text(self) -> str:
        """``3.95``, or ``∞`` without noise."""
        return "∞" if self.epsilon is None else f"{self.epsilon:.3g}"

    @property
    def warning(self) -> str:
        """The reason why the claim is worthless; empty for a good one."""
        if self.epsilon is None:
            return "noise 0: epsilon is infinite, nothing is private."
        if self.delta >= 1 / self.samples:
            return (
                f"delta = {self.delta:g} is not below 1/{self.samples:,}, the share of one sample: it would "
                "allow a training that publishes a sample. Use a smaller dp_delta."
            )
        return ""


class CanaryScores(msgspec.Struct, frozen=True):
    """The losses of canaries after the last epoch, and a bit for each that took part in the training."""

    scores: SampleScores
    included: bytes

    def __post_init__(self) -> None:
        """Refuse a damaged record, whose parts have other lengths."""
        if len(self.included) != -(-self.scores.count // 8):
            raise ValueError("the canaries have another number of coins than of losses")


class MemberScores(msgspec.Struct, frozen=True):
    """The scores after the last epoch by which membership is inferred."""

    samples: SampleScores
    """Of some training samples, a fixed random choice."""
    canaries: CanaryScores | None = None
    """Of the canaries of an audited training with DP-SGD."""


def privacy_claim(record: Record) -> PrivacyClaim | None:
    """Return the claim of a run; None for a training without DP-SGD."""
    return record.extension(PRIVACY, PrivacyClaim)


def member_scores(record: Record) -> MemberScores | None:
    """Return the scores of training samples; None for a generator, or where nothing was scored."""
    return record.extension(MEMBERSHIP, MemberScores)
