"""Learning rates of single steps, from a task's schedule; formulas in :mod:`harness.spec.schedules`."""

import dataclasses

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.spec.schedules import ConstantRate, CosineDecay, LinearDecay, Schedule, StepDecay


@dataclasses.dataclass(frozen=True, slots=True)
class LearningRates:
    """The rates of a training of ``steps`` steps, with ``peak`` as the largest."""

    peak: float
    schedule: Schedule = dataclasses.field(default_factory=ConstantRate)
    steps: int = 1

    def __post_init__(self) -> None:
        """Raise UsageError if the warm-up does not end within the training."""
        warmup = self.schedule.warmup_steps
        if warmup and warmup >= self.steps:
            raise UsageError(
                f"the schedule's warm-up of {warmup:,} steps is longer than the training of {self.steps:,}; "
                "train for more epochs, or warm up for fewer steps"
            )

    def of_steps(self, start: int, count: int) -> npt.NDArray[np.float64]:
        """Return the rates ``(count,)`` from step ``start`` on; after the training the last rate is kept.

        A duel's timing makes more steps than a training.
        """
        steps = np.minimum(np.arange(start, start + count), self.steps - 1)
        warmup = self.schedule.warmup_steps
        rising = (steps + 1) / (warmup + 1)
        return self.peak * np.where(steps < warmup, rising, self._factors(steps))

    def _factors(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the rate after the warm-up, as a share of the largest."""
        warmup = self.schedule.warmup_steps
        place = (steps - warmup) / (self.steps - warmup)
        match self.schedule:
            case ConstantRate():
                return np.ones(len(steps))
            case StepDecay(milestones, factor):
                passed = (steps[:, None] >= np.array(milestones) * self.steps).sum(axis=1)
                factors: npt.NDArray[np.float64] = np.float64(factor) ** passed
                return factors
            case CosineDecay(final):
                return final + (1.0 - final) * (1.0 + np.cos(np.pi * place)) / 2.0
            case LinearDecay(final):
                return 1.0 + (final - 1.0) * place
