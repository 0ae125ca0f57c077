"""What each training step sees: its samples, and the random draws that belong to them."""

import dataclasses
import math
from typing import Self

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.layers import BatchNorm
from harness.spec.backend import Steps
from harness.spec.task import Adversarial, Augmentation, Task
from harness.training import draws
from harness.training.schedules import LearningRates

_NOT_AUGMENTED = Augmentation()
_FLIPPED_FRACTION = 0.5
#: Values of a channel that have an unbiased variance.
_FEWEST = 2
_UNKNOWN_RATES = LearningRates(math.nan)


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOrder:
    """A new permutation each epoch, cut into batches of ``batch_size``; the last one may be shorter.

    Where an epoch takes fewer than all ``samples``, namely ``taken`` of them, it goes on where the one before
    ended, so that every sample is seen once before any is seen again.
    """

    samples: int
    batch_size: int
    seed: int
    latent_size: int = 0
    augmentation: Augmentation = _NOT_AUGMENTED
    rates: LearningRates = _UNKNOWN_RATES
    taken: int | None = None

    @classmethod
    def of_task(cls, task: Task, samples: int, seed: int) -> Self:
        """The order in which a task sees ``samples`` training samples.

        Raises:
            UsageError: the task's schedule does not fit into the training, or a batch is too small to be
                normalised.
        """
        latent_size = task.objective.latent_size if isinstance(task.objective, Adversarial) else 0
        taken = min(task.samples_per_epoch or samples, samples)
        batch_size = task.batch_size or taken
        rates = LearningRates(
            task.optimizer.learning_rate, task.schedule, task.epochs * -(-taken // batch_size)
        )
        order = cls(samples, batch_size, seed, latent_size, task.augmentation, rates, taken)
        _refuse_single_values(task, min(batch_size, taken % batch_size or batch_size))
        return order

    @property
    def samples_per_epoch(self) -> int:
        """The number of samples that an epoch takes."""
        return self.samples if self.taken is None else self.taken

    @property
    def full_steps(self) -> int:
        """The number of steps of an epoch that have the full batch size."""
        return self.samples_per_epoch // self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """The number of all steps of an epoch, including a short last one."""
        return -(-self.samples_per_epoch // self.batch_size)

    def run_length(self, step: int) -> int:
        """How many steps from ``step`` (counted from 0 over all epochs) share its epoch and batch size."""
        place = step % self.steps_per_epoch
        return self.full_steps - place if place < self.full_steps else 1

    def even_steps(self, fewest: int) -> int:
        """At least ``fewest`` full steps in calls of one length: a part of an epoch, or whole epochs.

        The number that leaves the smallest rest of an epoch. Some frameworks compile a program again for
        calls of another length.
        """
        full = self.full_steps
        return full // (full // fewest) if 2 * fewest <= full else full * -(-fewest // full)

    def steps(self, start: int, count: int, dtype: npt.DTypeLike = np.float64) -> Steps:
        """Steps ``start`` to ``start + count - 1``; latents have the training data's ``dtype``.

        Raises:
            ValueError: they cross the end of an epoch or mix batch sizes.
        """
        if not 1 <= count <= self.run_length(start):
            raise ValueError(f"steps {start} to {start + count - 1} are not in one epoch with one batch size")
        epoch, place = divmod(start, self.steps_per_epoch)
        rows = slice(place * self.batch_size, (place + count) * self.batch_size)

        def batched(per_sample: np.ndarray) -> np.ndarray:
            taken = per_sample[: self.samples_per_epoch]
            return taken[rows].reshape(count, -1, *per_sample.shape[1:])

        return Steps(
            batched(self._rows(epoch)),
            latents=batched(self._latents(epoch)).astype(dtype) if self.latent_size else None,
            flips=batched(self._flips(epoch)) if self.augmentation.flip else None,
            offsets=batched(self._offsets(epoch)) if self.augmentation.crop else None,
            learning_rates=self.rates.of_steps(start, count),
        )

    def _rows(self, epoch: int) -> np.ndarray:
        """The samples of an epoch in order: the next ones of a sequence of permutations."""
        first = epoch * self.samples_per_epoch
        passed, start = divmod(first, self.samples)
        last = (first + self.samples_per_epoch - 1) // self.samples
        rows = [draws.permutation(self.samples, self.seed, "batches", n) for n in range(passed, last + 1)]
        return np.concatenate(rows)[start : start + self.samples_per_epoch]

    def _latents(self, epoch: int) -> np.ndarray:
        return draws.normal((self.samples, self.latent_size), self.seed, "latents", epoch)

    def _flips(self, epoch: int) -> np.ndarray:
        return draws.uniform((self.samples,), self.seed, "flips", epoch) < _FLIPPED_FRACTION

    def _offsets(self, epoch: int) -> np.ndarray:
        choices = 2 * self.augmentation.crop + 1
        return (draws.uniform((self.samples, 2), self.seed, "crops", epoch) * choices).astype(np.int64)


def _refuse_single_values(task: Task, smallest_batch: int) -> None:
    """Raise UsageError where a :class:`BatchNorm` gets one value per channel, which has no variance."""
    places = [place for network in task.networks.values() for place in network.leaves()]
    for place in places:
        values = smallest_batch * math.prod(place.input_shape[:-1])
        if isinstance(place.layer, BatchNorm) and values < _FEWEST:
            raise UsageError(
                f"the last batch of an epoch has 1 sample, and {place.name} needs at least {_FEWEST} values "
                "per channel; train with another batch size, or on another number of samples (train_fraction)"
            )
