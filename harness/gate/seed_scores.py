"""What one seed's trainings of base and head come to: best scores, and steps to a common target.

The target is the score that both have reached by half of their epochs, minus the loss allowed. Both have
a say in it, because a target picked from base's scores alone would favour base by chance. Scores are known
once an epoch; between two of them the step is interpolated linearly.
"""

import math
from collections.abc import Sequence

from harness.gate.record import SeedScores
from harness.gate.suite import Limits
from harness.gate.training_worker import Curve
from harness.training.measures import Measure


def seed_scores(seed: int, base: Curve, head: Curve, measure: Measure, limits: Limits) -> SeedScores:
    """The scores and steps of one seed."""
    higher = measure.higher_is_better
    of_base, of_head = ([scores.get(measure.key) for scores in curve.scores] for curve in (base, head))
    target = _target(of_base, of_head, measure, limits)
    base_steps, head_steps = (
        None if target is None else _steps_to(target, curve.steps, values, higher_is_better=higher)
        for curve, values in ((base, of_base), (head, of_head))
    )
    return SeedScores(
        seed=seed,
        base=None if base.diverged else _best(of_base, higher_is_better=higher),
        head=None if head.diverged else _best(of_head, higher_is_better=higher),
        base_steps_to_target=base_steps,
        head_steps_to_target=head_steps,
        head_steps=head.steps[-1],
        first_steps=(base.steps[0], head.steps[0]),
    )


def _target(
    base: Sequence[float | None], head: Sequence[float | None], measure: Measure, limits: Limits
) -> float | None:
    """The score that both have reached by half of their epochs, minus the loss allowed."""
    higher = measure.higher_is_better
    by_half = [_best(values[: -(-len(values) // 2)], higher_is_better=higher) for values in (base, head)]
    common = _best(by_half, higher_is_better=not higher)
    if common is None:
        return None
    allowed = (limits.max_accuracy_loss or 0.0) * (abs(common) if measure.relative else 1.0)
    return common - allowed if higher else common + allowed


def _steps_to(
    target: float, steps: Sequence[int], values: Sequence[float | None], *, higher_is_better: bool
) -> int | None:
    """The steps at which the target was reached; None where it was not."""
    before: tuple[int, float] | None = None
    for step, value in zip(steps, values, strict=True):
        if value is None or not math.isfinite(value):
            continue
        if value >= target if higher_is_better else value <= target:
            if before is None:
                return step
            earlier, lower = before
            return math.ceil(earlier + (step - earlier) * (target - lower) / (value - lower))
        before = (step, value)
    return None


def _best(values: Sequence[float | None], *, higher_is_better: bool) -> float | None:
    """The best of the finite scores; None where none is finite."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return (max if higher_is_better else min)(finite, default=None)
