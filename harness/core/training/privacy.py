"""What a training with DP-SGD claims: epsilon at delta, by the library dp-accounting.

Without NumPy, which the commands that list records do not need.
"""

import importlib.metadata
import importlib.util
import logging

import msgspec

from harness.errors import UsageError
from harness.spec.task import Privacy

#: How a record says which samples differ between the two data sets that are hard to tell apart.
NEIGHBOURS = "one training sample added or removed"


class PrivacyClaim(msgspec.Struct, frozen=True):
    """(epsilon, delta) of ``steps`` steps, each with every sample at the probability ``sampling_rate``.

    ``epsilon`` is an upper bound by the privacy loss distribution, which needs no conversion;
    ``epsilon_rdp`` is the one by Rényi differential privacy, and ``conversion`` says by which formula. Both
    are None for infinite.
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
        """What makes the claim worthless; empty for a good one."""
        if self.epsilon is None:
            return "noise 0: epsilon is infinite, nothing is private."
        if self.delta >= 1 / self.samples:
            return (
                f"delta = {self.delta:g} is not below 1/{self.samples:,}, the share of one sample: it would "
                "allow a training that publishes a sample. Use a smaller dp_delta."
            )
        return ""


def require_accountant(privacy: Privacy | None) -> None:
    """Raise UsageError where epsilon is finite and dp-accounting, which computes it, is missing."""
    if privacy is not None and privacy.noise and importlib.util.find_spec("dp_accounting") is None:
        raise UsageError(
            "epsilon of DP-SGD is computed by dp-accounting, which is not installed; "
            "run: pip install 'dl-harness[privacy]'"
        )


#: With a smaller noise multiplier epsilon is bounded by Rényi differential privacy alone.
_LEAST_NOISE = 0.3


def claim(privacy: Privacy, samples: int, batch_size: int, steps: int) -> PrivacyClaim:
    """The claim of so many steps on ``samples`` training samples."""
    rate = batch_size / samples
    plain = PrivacyClaim(None, None, privacy.delta, privacy.noise, privacy.clip, rate, steps, samples)
    if not privacy.noise or not steps:
        return plain
    import dp_accounting
    from dp_accounting import pld, rdp

    gaussian = dp_accounting.GaussianDpEvent(privacy.noise)
    event = dp_accounting.SelfComposedDpEvent(dp_accounting.PoissonSampledDpEvent(rate, gaussian), steps)
    # At little noise the distribution takes gigabytes, and epsilon is in the hundreds anyway.
    accountants = [] if privacy.noise < _LEAST_NOISE else [pld.PLDAccountant()]
    epsilons = []
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of each order that it leaves out
    try:
        for accountant in (*accountants, rdp.RdpAccountant()):
            accountant.compose(event)
            epsilons.append(float(accountant.get_epsilon(privacy.delta)))
    finally:
        logger.setLevel(level)
    version = importlib.metadata.version("dp-accounting")
    return msgspec.structs.replace(
        plain,
        epsilon=epsilons[0],
        epsilon_rdp=epsilons[-1],
        accountant=f"dp-accounting {version}, {'privacy loss distribution' if accountants else 'Rényi'}",
        conversion="Rényi to (epsilon, delta): Canonne, Kamath and Steinke (2020), proposition 12",
    )
