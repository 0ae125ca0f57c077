"""Events of runs and certificates, for displays and other nodes.

A run notifies its observer between two blocks of steps, so observers are never timed.
"""

from collections.abc import Callable
from typing import NamedTuple

from harness.core.certify.certificate import Certificate
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Epoch, Record


class Phase(NamedTuple):
    """Work other than training begins; its name is a few words."""

    name: str


class Started(NamedTuple):
    """The framework is imported and the networks are built: the record describes what will be trained."""

    record: Record


class Trained(NamedTuple):
    """A block has ended; ``step`` of ``total_steps`` steps are done."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    step_seconds: float


class Scored(NamedTuple):
    """An epoch has been scored."""

    epoch: Epoch


class Finished(NamedTuple):
    """The run is over."""

    record: Record


RunEvent = Phase | Started | Trained | Scored | Finished
RunObserver = Callable[[RunEvent], None]


class Examined(NamedTuple):
    """``cases`` of the ``of`` cases of a certificate have been examined."""

    configuration: Configuration
    task: str
    cases: int
    of: int


class Certified(NamedTuple):
    """The certificate is known."""

    configuration: Configuration
    task: str
    certificate: Certificate
    seconds: float


CertificationEvent = Examined | Certified
