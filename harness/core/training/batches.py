"""The inputs of each training step: its samples, and the random draws that belong to them."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Self

import numpy as np
import numpy.typing as npt

from harness.core.training.counts import samples_of_epoch
from harness.core.training.draws import normal, permutation, uniform
from harness.core.training.learning_rates import LearningRates
from harness.errors import HarnessError, UsageError
from harness.layers import BatchNorm
from harness.spec.backend import Steps
from harness.spec.task import Adversarial, Augmentation, Task

_NOT_AUGMENTED = Augmentation()
_FLIPPED_FRACTION = 0.5
#: Values of a channel that have an unbiased variance.
_FEWEST = 2
_UNKNOWN_RATES = LearningRates(math.nan)
#: The probability, per step, that more samples are drawn than a batch holds.
_OVERFLOW = 1e-9


def capacity_of(samples: int, batch_size: int) -> int:
    """Return the rows of a batch that takes each of ``samples`` with probability batch_size / samples.

    The result is the smallest number that is exceeded with a probability below 1e-9, by the bound of Chernoff
    (1952).
    """
    rate = batch_size / samples
    for count in range(batch_size + 1, samples):
        share = count / samples
        divergence = share * math.log(share / rate) + (1 - share) * math.log((1 - share) / (1 - rate))
        if samples * divergence > -math.log(_OVERFLOW):
            return count
    return samples


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOrder:
    """A new permutation each epoch, cut into batches of ``batch_size``; the last one may be shorter.

    If ``sampled``, as DP-SGD needs it, each sample is instead drawn for each step on its own, with the
    probability ``batch_size / samples`` (Poisson sampling); all steps are full.

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
    sampled: bool = False

    @classmethod
    def of_task(cls, task: Task, samples: int, seed: int) -> Self:
        """Return the order in which a task sees ``samples`` training samples."""
        latent_size = task.objective.latent_size if isinstance(task.objective, Adversarial) else 0
        taken = samples_of_epoch(task, samples)
        batch_size = taken if task.federated else task.batch_size or taken
        rates = LearningRates(
            task.optimizer.learning_rate, task.schedule, task.epochs * -(-taken // batch_size)
        )
        sampled = task.privacy is not None
        order = cls(samples, batch_size, seed, latent_size, task.augmentation, rates, taken, sampled)
        _refuse_single_values(task, min(batch_size, taken % batch_size or batch_size))
        return order

    @property
    def samples_per_epoch(self) -> int:
        """The number of samples that an epoch takes."""
        return self.samples if self.taken is None else self.taken

    @property
    def full_steps(self) -> int:
        """The number of steps of an epoch that have the full batch size."""
        return self.steps_per_epoch if self.sampled else self.samples_per_epoch // self.batch_size

    @property
    def sampling_rate(self) -> float:
        """The probability with which a sample takes part in a step, where samples are drawn one by one."""
        return self.batch_size / self.samples

    @property
    def steps_per_epoch(self) -> int:
        """The number of all steps of an epoch, including a short last one."""
        return -(-self.samples_per_epoch // self.batch_size)

    def run_length(self, step: int) -> int:
        """Count the steps from ``step`` (from 0 over all epochs) that share its epoch and batch size."""
        place = step % self.steps_per_epoch
        return self.full_steps - place if place < self.full_steps else 1

    def calls(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the first step and the length of each call that makes the steps from ``start`` to ``end``."""
        while start < end:
            count = min(self.run_length(start), end - start)
            yield start, count
            start += count

    def even_steps(self, fewest: int) -> int:
        """Divide ``fewest`` or more full steps into calls of one length: a part of an epoch, or whole epochs.

        The length is chosen that leaves the smallest rest of an epoch. Some frameworks compile a program
        again for calls of another length.
        """
        full = self.full_steps
        return full // (full // fewest) if 2 * fewest <= full else full * -(-fewest // full)

    def steps(self, start: int, count: int, dtype: npt.DTypeLike = np.float64) -> Steps:
        """Return steps ``start`` to ``start + count - 1``; latents have the training data's ``dtype``."""
        if not 1 <= count <= self.run_length(start):
            raise ValueError(f"steps {start} to {start + count - 1} are not in one epoch with one batch size")
        if self.sampled:
            return self._sampled_steps(start, count)
        epoch, place = divmod(start, self.steps_per_epoch)
        rows = slice(place * self.batch_size, (place + count) * self.batch_size)

        def batched(per_sample: np.ndarray) -> np.ndarray:
            taken = per_sample[: self.samples_per_epoch]
            return taken[rows].reshape(count, -1, *per_sample.shape[1:])

        return Steps(
            batched(self._rows(epoch)),
            latents=batched(self._latents(epoch)).astype(dtype) if self.latent_size else None,
            flips=batched(self._flips(self.samples, epoch)) if self.augmentation.flip else None,
            offsets=batched(self._offsets(self.samples, epoch)) if self.augmentation.crop else None,
            learning_rates=self.rates.of_steps(start, count),
        )

    def _sampled_steps(self, start: int, count: int) -> Steps:
        """Draw the samples of each step one by one; raises HarnessError if a batch cannot hold them."""
        numbers, capacity = range(start, start + count), capacity_of(self.samples, self.batch_size)
        indices = np.zeros((count, capacity), np.int64)
        included = np.zeros((count, capacity), bool)
        for place, step in enumerate(numbers):
            draws = uniform((self.samples,), self.seed, "sampled batch", step)
            drawn = np.flatnonzero(draws < self.sampling_rate)
            if len(drawn) > capacity:
                raise HarnessError(
                    f"step {step + 1} draws {len(drawn)} samples, and a batch holds {capacity}: leaving some "
                    "out would void epsilon; train with another seed"
                )
            indices[place, : len(drawn)], included[place, : len(drawn)] = drawn, True

        flip, crop = self.augmentation.flip, self.augmentation.crop
        noise = np.stack([uniform((2,), self.seed, "noise", step) for step in numbers])
        return Steps(
            indices,
            flips=np.stack([self._flips(capacity, step) for step in numbers]) if flip else None,
            offsets=np.stack([self._offsets(capacity, step) for step in numbers]) if crop else None,
            learning_rates=self.rates.of_steps(start, count),
            included=included,
            noise_seeds=(noise * 2**31).astype(np.int64),
        )

    def _rows(self, epoch: int) -> np.ndarray:
        """Return the samples of an epoch in order: the next ones of a sequence of permutations."""
        first = epoch * self.samples_per_epoch
        passed, start = divmod(first, self.samples)
        last = (first + self.samples_per_epoch - 1) // self.samples
        rows = [permutation(self.samples, self.seed, "batches", n) for n in range(passed, last + 1)]
        return np.concatenate(rows)[start : start + self.samples_per_epoch]

    def _latents(self, epoch: int) -> np.ndarray:
        return normal((self.samples, self.latent_size), self.seed, "latents", epoch)

    def _flips(self, count: int, number: int) -> np.ndarray:
        """Draw flips of ``count`` samples of an epoch, or of a step where samples are drawn one by one."""
        return uniform((count,), self.seed, "flips", number) < _FLIPPED_FRACTION

    def _offsets(self, count: int, number: int) -> np.ndarray:
        choices = 2 * self.augmentation.crop + 1
        return (uniform((count, 2), self.seed, "crops", number) * choices).astype(np.int64)


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


# How training is cut into timed blocks.

#: Blocks take about this share of the training, so that a whole one can be verified within 2 % of it ...
_SHARE = 0.01
#: ... but long enough that the fixed cost of a call (Keras's ``fit``: tens of milliseconds) is a small part
#: of it, and short enough to show progress.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.5, 2.0
#: Steps of the second block, which determines the length of the later ones.
PROBE_STEPS = 8


def block_steps(order: BatchOrder, step: int, step_seconds: float, total_steps: int) -> int:
    """Count the steps of the block that begins at ``step``: the first step alone, a probe, then equal blocks.

    ``step_seconds`` is the duration of a step in the block before, or 0 while unknown; ``total_steps`` is the
    number of steps of the training. A block never crosses the end of an epoch and never mixes batch sizes.
    """
    left = order.run_length(step)
    if step == 0:
        return 1
    if not step_seconds:
        return min(PROBE_STEPS, left)
    block_seconds = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, _SHARE * total_steps * step_seconds))
    blocks = max(1, round(left * step_seconds / block_seconds))
    return -(-left // blocks)
