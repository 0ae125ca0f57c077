"""What the trials of a study show: the criterion, the best settings, and those at the end of a range."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np

from harness.core.stats.intervals import Array
from harness.core.training.measures import Measure, measure_of_task
from harness.learning.study.record import Trial
from harness.spec.study import Range, StudyKind, StudyVariant
from harness.spec.task import Task


def spread_settings(ranges: Sequence[Range], count: int, seed: int) -> list[dict[str, float]]:
    """Draw ``count`` settings of these ranges, by option, that cover each range evenly.

    A Latin hypercube (McKay, Beckman and Conover 1979): each of ``count`` equal parts of a range holds one
    value, so that three trials cover a range, too. Settings far from the earlier ones come first, because a
    budget may end the trials early.
    """
    from scipy.stats import qmc  # which takes half a second to import

    shares = qmc.LatinHypercube(len(ranges), optimization="random-cd", seed=seed).random(count)
    return [
        {each.option: _value(each, float(share)) for each, share in zip(ranges, point, strict=True)}
        for point in shares[_farthest_first(shares)]
    ]


def _farthest_first(points: Array) -> list[int]:
    """Order points ``(points, dimensions)``: first the most central, then each far from those before."""
    order = [int(np.abs(points - 0.5).max(axis=1).argmin())]
    while len(order) < len(points):
        distances = np.linalg.norm(points[:, None] - points[order], axis=-1).min(axis=1)
        order.append(int(distances.argmax()))
    return order


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
    """The best setting of a variant lies next to an end of its range, so a better one may lie beyond."""

    variant: str
    option: str
    value: float
    range: Range

    @property
    def is_low(self) -> bool:
        """True at the lower end, False at the upper one."""
        return _place(self.range, self.value) < 1 / 2


def at_edges(study_variants: Sequence[tuple[StudyVariant, Sequence[str], int]]) -> list[AtEdge]:
    """Return the settings at an end of their range, from variants with their assignments and trials.

    They lie within one spacing of the trials from the end. Variants without trials have none.
    """
    edges = []
    for variant, assignments, trials in study_variants:
        spacing = 1 / max(2, trials) if trials else 0.0
        values = dict(assignment.split("=", 1) for assignment in assignments)
        for range_ in variant.ranges:
            if range_.option in values:
                place = _place(range_, float(values[range_.option]))
                if not spacing <= place <= 1 - spacing:
                    edges.append(AtEdge(variant.name, range_.option, float(values[range_.option]), range_))
    return edges


def _place(range_: Range, value: float) -> float:
    """Return the position of a value in its range: 0 at the lower end, 1 at the upper one."""
    if range_.log:
        return log(value / range_.low) / log(range_.high / range_.low)
    return (value - range_.low) / (range_.high - range_.low)


def _value(range_: Range, place: float) -> float:
    """Return the value at a position in a range."""
    if range_.log:
        return float(range_.low * (range_.high / range_.low) ** place)
    return range_.low + place * (range_.high - range_.low)
