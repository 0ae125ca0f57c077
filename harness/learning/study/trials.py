"""What the trials of a study show: the criterion, the best settings, and those at the end of a range."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

from harness.core.training.measures import Measure, measure_of_task
from harness.learning.study.record import Trial
from harness.spec.study import Range, StudyKind, StudyVariant
from harness.spec.task import Task

#: A best value so near to an end of its range, as a share of it, may lie beyond it.
_EDGE = 0.05


def criterion(kind: StudyKind, task: Task) -> Measure:
    """Return the measure that tuning optimises on validation data."""
    measure = measure_of_task(task)
    if kind.criterion == "score" or measure.key in {"loss", "frechet_distance"}:
        return measure
    return Measure("loss", "loss", "", 1.0, higher_is_better=False, margin=0.05, relative=True)


def best_trial(trials: Sequence[Trial], variant: str, measure: Measure) -> Trial | None:
    """Return the best trial of a variant that was trained to the end; None without one."""
    sign = measure.sign
    own = [
        (sign * trial.value, trial)
        for trial in trials
        if trial.variant == variant and trial.value is not None and not trial.stopped
    ]
    return max(own, key=lambda each: each[0])[1] if own else None


class AtEdge(NamedTuple):
    """The best setting of a variant lies at an end of its range, so a better one may lie beyond."""

    variant: str
    option: str
    value: float
    range: Range

    @property
    def is_low(self) -> bool:
        """True at the lower end, False at the upper one."""
        return self.value - self.range.low < self.range.high - self.value


def at_edges(study_variants: Sequence[tuple[StudyVariant, Sequence[str]]]) -> list[AtEdge]:
    """Return the settings that lie at an end of their range, from variants with their assignments."""
    edges = []
    for variant, assignments in study_variants:
        values = dict(assignment.split("=", 1) for assignment in assignments)
        for range_ in variant.ranges:
            if range_.option in values:
                place = _place(range_, float(values[range_.option]))
                if not _EDGE <= place <= 1 - _EDGE:
                    edges.append(AtEdge(variant.name, range_.option, float(values[range_.option]), range_))
    return edges


def _place(range_: Range, value: float) -> float:
    """Return the position of a value in its range: 0 at the lower end, 1 at the upper one."""
    if range_.log:
        return log(value / range_.low) / log(range_.high / range_.low)
    return (value - range_.low) / (range_.high - range_.low)
