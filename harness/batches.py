"""The order in which training samples are seen: a fresh permutation each epoch, cut into batches."""

import dataclasses

from harness import draws
from harness.spec import Steps


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOrder:
    """Batches of ``batch_size`` out of ``samples``, the last of an epoch shorter where it does not divide."""

    samples: int
    batch_size: int
    seed: int

    @property
    def full_steps(self) -> int:
        """Steps of an epoch that have the whole batch size."""
        return self.samples // self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """All steps of an epoch, a short last one included."""
        return -(-self.samples // self.batch_size)

    def run_length(self, step: int) -> int:
        """How many steps from ``step`` (counted from 0 over all epochs) share its epoch and batch size."""
        place = step % self.steps_per_epoch
        return self.full_steps - place if place < self.full_steps else 1

    def steps(self, start: int, count: int) -> Steps:
        """Steps ``start`` to ``start + count - 1``: indices ``(count, batch)``.

        Raises:
            ValueError: they would cross an epoch's end or mix batch sizes.
        """
        if not 1 <= count <= self.run_length(start):
            raise ValueError(f"steps {start} to {start + count - 1} are not of one epoch and batch size")
        epoch, place = divmod(start, self.steps_per_epoch)
        order = draws.permutation(self.samples, self.seed, "batches", epoch)
        chosen = order[place * self.batch_size : (place + count) * self.batch_size]
        return Steps(chosen.reshape(count, -1))
