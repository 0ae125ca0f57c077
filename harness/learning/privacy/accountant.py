"""What a training with DP-SGD claims: epsilon at delta, by the library dp-accounting."""

import importlib.metadata
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from harness.errors import UsageError
from harness.learning.privacy.record import PrivacyClaim
from harness.spec.task import Privacy

if TYPE_CHECKING:
    from harness.core.worker.requests import Worker


def require_accountant(privacy: Privacy | None) -> None:
    """Refuse a training whose epsilon is finite if dp-accounting, which computes it, cannot be imported."""
    if privacy is None or not privacy.noise:
        return
    try:
        _accounting()
    except ImportError as error:
        raise UsageError(
            f'epsilon of DP-SGD needs {error.name or error} from the extra "privacy": '
            'pip install "dl-harness[privacy]"'
        ) from error


def _accounting() -> tuple[Any, Any, Any]:
    """Import dp-accounting: the package, its privacy loss distribution and its Rényi accountant."""
    import dp_accounting
    from dp_accounting import pld, rdp

    return dp_accounting, pld, rdp


#: With a smaller noise multiplier epsilon is bounded by Rényi differential privacy alone.
_LEAST_NOISE = 0.3


def claim(privacy: Privacy, samples: int, batch_size: int, steps: int) -> PrivacyClaim:
    """Compute the claim of so many steps on ``samples`` training samples."""
    rate = batch_size / samples
    plain = PrivacyClaim(None, None, privacy.delta, privacy.noise, privacy.clip, rate, steps, samples)
    if not privacy.noise or not steps:
        return plain
    dp_accounting, pld, rdp = _accounting()
    gaussian = dp_accounting.GaussianDpEvent(privacy.noise)
    event = dp_accounting.SelfComposedDpEvent(dp_accounting.PoissonSampledDpEvent(rate, gaussian), steps)
    # At little noise the distribution takes gigabytes, and epsilon is in the hundreds anyway.
    accountants = [] if privacy.noise < _LEAST_NOISE else [pld.PLDAccountant()]
    epsilons = []
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)  # dp-accounting warns of each order that it leaves out
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


class _Arguments(msgspec.Struct, frozen=True):
    """The arguments of :func:`operation`; ``batch_size`` is the expected number of samples of a step."""

    samples: int
    batch_size: int
    steps: int


def operation(worker: "Worker", arguments: msgspec.Raw) -> PrivacyClaim:
    """Compute the claim of the worker's training."""
    asked = msgspec.json.decode(arguments, type=_Arguments)
    privacy = worker.plan.task.privacy
    assert privacy is not None  # noqa: S101  applies() has asked
    return claim(privacy, asked.samples, asked.batch_size, asked.steps)
