"""What a second program needs to repeat a training."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from harness.certify.dropout import uses_dropout
from harness.plugins import registry
from harness.spec.backend import Plan
from harness.spec.task import Sgd
from harness.training.batches import BatchOrder
from harness.worker.session import Session

#: Starts a process like that of the training, with these variables in addition.
Start = Callable[[Mapping[str, str]], Session]


class Work(NamedTuple):
    """A training: by which backend, of which plan, on which data, in which order."""

    backend: str
    plan: Plan
    dataset: str
    order: BatchOrder
    certified: bool
    """Whether it counts as that of the reference, so that the harness's own program must do the same."""
    start: Start

    @property
    def is_third_party(self) -> bool:
        """Whether the backend does not ship with the harness."""
        return registry.is_third_party(self.backend)

    @property
    def needs_state(self) -> bool:
        """Whether a training step depends on more than the weights and its batch."""
        optimizer = self.plan.task.optimizer
        return self.uses_dropout or not (isinstance(optimizer, Sgd) and not optimizer.momentum)

    @property
    def uses_dropout(self) -> bool:
        """Whether values are dropped, which each framework draws for itself."""
        return uses_dropout(self.plan.task)
