"""Comparison of repeated work with the report, by how far rounding sets two repetitions apart.

Two programs that compute the same part slowly, because they round differently. How fast depends on the
training, so no fixed tolerance fits. It is measured: the same steps are repeated twice from weights that are
moved by one rounding, and how far these two part is what rounding can do.
"""

import itertools
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.audit import budgets
from harness.core.audit.budgets import ROUNDING
from harness.core.audit.findings import Deviation
from harness.core.certify.certificate import Losses
from harness.core.stats.deviations import exceeds, largest
from harness.spec.backend import Precision

Weights = Mapping[str, np.ndarray]


class LossComparison(NamedTuple):
    """How far repeated losses follow those that were reported.

    ``compared_steps`` are those before rounding had separated the two, ``worst`` is the largest relative
    deviation among them, and ``fault_at`` the index of the first step that rounding does not explain.
    """

    compared_steps: int
    worst: float
    fault_at: int | None


def compare_losses(
    reported: Losses, repeated: Losses, precision: Precision, nearby: tuple[Losses, Losses] | None = None
) -> LossComparison:
    """Compare the reported losses with the repeated losses of the same steps.

    ``nearby`` are the losses of two trainings that differ by rounding at their start, and may be shorter.
    Without them only deviations that never count are left out.
    """
    scale = _scale(reported)
    deviations = _deviations(reported, repeated, scale)
    apart = [0.0] * len(deviations) if nearby is None else _deviations(*nearby, scale)
    count = min(len(deviations), len(apart))
    farthest = itertools.accumulate(apart[:count], max)
    rounding = ROUNDING[precision]
    # The second loss of a step is that after an update.
    floors = [
        rounding.updated_loss if step or len(row) > 1 else rounding.loss for step, row in enumerate(reported)
    ]
    limits = [max(floor, budgets.LOSS_FACTOR * by) for floor, by in zip(floors, farthest, strict=False)]
    separated = max(budgets.SEPARATED, rounding.updated_loss)
    compared = next((step for step, limit in enumerate(limits) if limit > separated), count)
    fault = next((step for step in range(compared) if deviations[step] > limits[step]), None)
    agreed = compared if fault is None else fault
    return LossComparison(agreed, max(deviations[:agreed], default=0.0), fault)


def equal_steps(reported: Losses, repeated: Losses) -> int:
    """Count the first steps whose losses are equal bit for bit."""
    pairs = zip(reported, repeated, strict=True)
    return next((step for step, (ours, theirs) in enumerate(pairs) if ours != theirs), len(reported))


def first_difference(ours: Losses, theirs: Losses, precision: Precision) -> int | None:
    """Find the first step at which the losses of two configurations with equal initial weights differ.

    A step differs if a loss deviates by more than rounding adds in one step, while all before it agree. Only
    the first loss of the first step is computed before any update: a generator's follows the discriminator's.
    """
    scale, rounding = _scale(ours), ROUNDING[precision]
    if _deviation(ours[0][0], theirs[0][0], scale) > rounding.loss:
        return 0
    deviations = _deviations(ours, theirs, scale)
    first = next((step for step, deviation in enumerate(deviations) if deviation > rounding.loss), None)
    return None if first is None or deviations[first] <= rounding.first_losses else first


def deviation_of(index: int, reported: Losses, recomputed: Losses, first: int = 0) -> Deviation:
    """Return the deviation at an index of losses that begin with step ``first``, counted from 0."""
    ours, theirs = reported[index], recomputed[index]
    deviations = [_deviation(a, b, budgets.LEAST_LOSS) for a, b in zip(ours, theirs, strict=True)]
    column = deviations.index(max(deviations))
    return Deviation(first + index + 1, ours[column], theirs[column])


def _deviations(ours: Losses, theirs: Losses, scale: float) -> list[float]:
    return [
        max(map(lambda a, b: _deviation(a, b, scale), row, other))
        for row, other in zip(ours, theirs, strict=False)
    ]


def _deviation(a: float | None, b: float | None, scale: float) -> float:
    if a is None or b is None:  # a loss that is not finite
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), scale)


def _scale(losses: Losses) -> float:
    """Return the usual size of the losses, which divides deviations; small losses count as larger."""
    sizes = [abs(value) for row in losses for value in row if value is not None]
    return max(budgets.LEAST_LOSS, statistics.fmean(sizes or [0.0]))


class WeightsComparison(NamedTuple):
    """By which share of their way weights differ; None if rounding leads them about as far."""

    apart: float | None
    differs: bool


class WeightsCheck:
    """Compares ends of the same steps with the repeated one.

    Distances are Euclidean, over all parameters together: single ones whose gradient is nothing but rounding
    go anywhere under Adam. The arrays named in ``state``, such as running statistics, are measured by
    themselves: their way is often longer, and would hide updates that are left out.
    """

    def __init__(
        self, before: Weights, repeated: Weights, steps: int, precision: Precision, state: Collection[str]
    ) -> None:
        self._before, self._repeated = before, repeated
        groups = ([name for name in repeated if (name in state) is own] for own in (False, True))
        self._groups = [names for names in groups if names]
        self._rounding = ROUNDING[precision]
        self._steps = steps

    def compare(self, reported: Weights, nearby: tuple[Weights, Weights] | None = None) -> WeightsComparison:
        """Compare ``reported`` weights; ``nearby`` are the ends of two trainings that differ by rounding."""
        found = [self._compare(names, reported, nearby) for names in self._groups]
        known = [each.apart for each in found if each.apart is not None]
        return WeightsComparison(largest(known) if known else None, any(each.differs for each in found))

    def _compare(
        self, names: list[str], reported: Weights, nearby: tuple[Weights, Weights] | None
    ) -> WeightsComparison:
        way = _distance(names, self._before, self._repeated)
        rounding = self._rounding.epsilon * math.sqrt(self._steps) * _distance(names, self._repeated)
        if not math.isfinite(way) or way <= budgets.ROUNDINGS * rounding:
            return WeightsComparison(None, differs=False)
        near = 0.0 if nearby is None else _distance(names, *nearby) / way
        limit = largest(
            (self._rounding.weights, budgets.ROUNDINGS * rounding / way, budgets.WEIGHTS_FACTOR * near)
        )
        apart = _distance(names, reported, self._repeated) / way
        if not limit < budgets.WEIGHTS_SEPARATED:
            return WeightsComparison(None, differs=False)
        return WeightsComparison(apart, differs=exceeds(apart, limit))


def _distance(names: Sequence[str], weights: Weights, others: Weights | None = None) -> float:
    """Return the Euclidean length of these weights, or of their differences from ``others``."""
    squares = (
        np.square(
            weights[name].astype(np.float64) - (0.0 if others is None else others[name].astype(np.float64))
        ).sum()
        for name in names
    )
    return math.sqrt(sum(map(float, squares)))
