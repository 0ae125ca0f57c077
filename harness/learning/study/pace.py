"""How long the runs of a study take: a cost of each training by its steps, corrected by what was measured.

The cost follows from the task alone, so that variants that make other steps differ: full-batch
gradient descent, more epochs, rounds of clients. Only its relation between variants matters once a run was
measured; before that it is assumed, for a small network in PyTorch on one core.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import NamedTuple

from harness.core.runs.record import Record
from harness.core.runs.request import RunRequest
from harness.core.training.counts import samples_of_epoch, steps_of_epoch, steps_of_training
from harness.core.training.splits import share_count
from harness.spec.description import description_sha256
from harness.spec.task import Task, training_flops_per_sample

#: Assumed until a run was measured: seconds of a step without its arithmetic, arithmetic per second, seconds
#: until the first step is made, and seconds of a scored epoch; the audit and the end of a process are part of
#: the start.
_STEP, _FLOPS, _START, _SCORE = 3e-4, 2e10, 3.0, 0.02
#: The clipping of single gradients multiplies the arithmetic of a step.
_PRIVATE = 3.0


class Work(NamedTuple):
    """A training: the task, the epochs between two scores, and the steps after which it may end."""

    task: Task
    every_epochs: int = 1
    most_steps: int | None = None


class Pace:
    """Expected durations of requests, from the runs of a study that have ended.

    ``samples`` is the number of training samples, of which a variant may use a part; a run corrects it.
    ``variant_of`` returns the variant of a description's sha256.
    """

    def __init__(self, variant_of: Callable[[str], str | None], samples: int = 0) -> None:
        self._variant_of = variant_of
        self._samples = samples
        self._factors: dict[str | None, list[float]] = defaultdict(list)
        self._starts: list[float] = []
        self._scores: list[float] = []
        self._modelled = self._elapsed = 0.0

    @property
    def is_known(self) -> bool:
        """True once a run was measured."""
        return bool(self._starts)

    def learn(self, records: Sequence[Record], elapsed: float | None = None) -> None:
        """Take runs that have ended; ``elapsed`` are the seconds that all of them together took."""
        measured = [record for record in records if record.status in {"ok", "stopped"} and record.epochs]
        for record in measured:
            phases, task = record.phases, record.task.description
            first = phases.first_step_seconds or 0.0
            before = (phases.import_seconds, phases.data_seconds, phases.build_seconds)
            used = record.dataset.samples["train"]
            self._samples = max(self._samples, round(used / task.train_fraction))
            steps = sum(block.steps for block in record.blocks[1:])
            if cost := _cost(task, _share(task, self._samples), steps):
                factor = (phases.training_seconds - first) / cost
                self._factors[self._variant_of(record.task.sha256)].append(factor)
            self._starts.append(first + sum(filter(None, before)))
            self._scores.append(phases.evaluation_seconds / len(record.epochs))
        if elapsed is not None and measured:
            self._elapsed += elapsed
            self._modelled += sum(sum(filter(None, record.phases.spent)) for record in measured)

    def seconds(self, requests: Iterable[RunRequest]) -> float:
        """Return how long the requests take, without certificates that are yet to be made."""
        return self.of_works(
            Work(each.task, each.evaluation.every_epochs or each.task.epochs, each.max_steps)
            for each in requests
        )

    def of_works(self, works: Iterable[Work]) -> float:
        """Return how long trainings take, without certificates that are yet to be made."""
        start = statistics.fmean(self._starts) if self._starts else _START
        score = statistics.fmean(self._scores) if self._scores else _SCORE
        total = 0.0
        for task, every, most_steps in works:
            share = _share(task, self._samples)
            epochs = ceil(steps_of_training(task, share, most_steps) / steps_of_epoch(task, share))
            training = self._factor(task) * _cost(task, share, most_steps)
            total += start + training + max(1, ceil(epochs / every)) * score
        # Several workers take less than the sum, and what no phase contains takes more.
        return total * (self._elapsed / self._modelled if self._modelled else 1.0)

    def _factor(self, task: Task) -> float:
        """Return the measured part of the modelled cost: of the variant, or of all that were measured."""
        own = self._factors.get(self._variant_of(description_sha256(task)))
        every = own or [factor for factors in self._factors.values() for factor in factors]
        return statistics.fmean(every) if every else 1.0


def _share(task: Task, samples: int) -> int:
    """Return the number of training samples that a variant uses."""
    return share_count(samples, task.train_fraction)


def _cost(task: Task, samples: int, most_steps: int | None = None) -> float:
    """Model the seconds of a training on so many samples; ``most_steps`` may end it."""
    seen, rounds = samples_of_epoch(task, samples), 1
    if task.federated is not None:  # a step is a round, in which each client makes its own
        clients, local = task.federated.clients, task.federated.local_epochs
        rounds = clients * local * ceil(seen / clients / (task.batch_size or seen))
        seen *= local
    arithmetic = seen / steps_of_epoch(task, samples) * training_flops_per_sample(task) / _FLOPS
    step = rounds * _STEP + arithmetic * (_PRIVATE if task.privacy else 1.0)
    return steps_of_training(task, samples, most_steps) * step
