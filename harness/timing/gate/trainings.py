"""Judge by trainings of base and head on the same seeds that head learns no less than base.

Two quantities are compared: the validation score of the best epoch, and the steps to a target. Both are
judged by one-sided Student tests of means over paired seeds:

- PASS: the loss is shown to be below its limit. Tried after 3 seeds, 6, 12 and so on, and after the last; the
  tries share the level (Bonferroni).
- FAIL: head is shown to be worse than base, with all seeds that there was time for.
- INCONCLUSIVE: neither is shown; more seeds may decide.
- INVALID: too few seeds are comparable, or trainings are too short to show when the target was reached.

The target is the score that both have reached by half of their epochs, minus the loss allowed. It depends on
both, because a target picked from the scores of base alone would favour base by chance. Scores are known once
an epoch; between two scores the step is interpolated linearly.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import student_quantile
from harness.core.training.measures import Measure, measure_of_task
from harness.timing.engine.workloads import Workload
from harness.timing.environments.suite import FEWEST_SEEDS, Limits
from harness.timing.gate import reasons
from harness.timing.gate.reasons import Label, Reason
from harness.timing.gate.record import QualityResult, SeedScores, Verdict
from harness.timing.gate.training_worker import Curve, training_worker

#: The chance to pass a head that is exactly at its limit, over all tries.
_WITHIN_LEVEL = 0.05


class Rule(NamedTuple):
    """The rule by which trainings are judged: the score, the loss allowed, and the chances of error.

    PASS may be tried ``tries`` times in all. ``worse_level`` is the chance to fail a head that is as good as
    base, over the score and the steps together.
    """

    measure: Measure
    limits: Limits
    tries: int
    worse_level: float


class Judgement(NamedTuple):
    """A verdict and its reasons."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


def tries_of(most: int) -> list[int]:
    """Return the numbers of seeds after which PASS is tried, of ``most`` in all."""
    tries, seeds = [], FEWEST_SEEDS
    while seeds < most:
        tries.append(seeds)
        seeds *= 2
    return [*tries, most]


def judge(rows: Sequence[SeedScores], rule: Rule) -> Judgement:
    """Return the verdict on these seeds."""
    if len(rows) < FEWEST_SEEDS:
        return Judgement("INVALID", (reasons.TooFewSeeds(seeds=len(rows)),))
    if diverged := [row.seed for row in rows if row.base is None]:
        return Judgement("INVALID", (reasons.Diverged(label="base", seed=diverged[0]),))
    if diverged := [row.seed for row in rows if row.head is None]:
        return Judgement("FAIL", (reasons.Diverged(label="head", seed=diverged[0]),))
    judged = [_score_lost(rows, rule)]
    if rule.limits.max_extra_steps is not None:
        judged.append(_extra_steps(rows, rule.limits.max_extra_steps, rule))
    verdicts = [judgement.verdict for judgement in judged]
    worst: Verdict
    for worst in ("FAIL", "INVALID", "INCONCLUSIVE"):
        if worst in verdicts:
            # Beside INVALID stand the reasons of INCONCLUSIVE; a judgement that is PASS has none.
            listed = [judgement for judgement in judged if worst in (judgement.verdict, "INVALID")]
            return Judgement(worst, tuple(reason for judgement in listed for reason in judgement.reasons))
    return Judgement("PASS")


def _score_lost(rows: Sequence[SeedScores], rule: Rule) -> Judgement:
    measure, limit = rule.measure, rule.limits.max_accuracy_loss or 0.0
    losses = [
        measure.sign * (row.base - row.head) / (abs(row.base) if measure.relative else 1.0)
        for row in rows
        if row.base is not None and row.head is not None
    ]
    verdict, lost = _paired(losses, limit, rule)
    return _judgement(verdict, reasons.ScoreLost(measure=measure.name, lost=lost, limit=limit), lost, limit)


def _extra_steps(rows: Sequence[SeedScores], limit: float, rule: Rule) -> Judgement:
    """Judge the steps to the target, some of which are known only as a bound.

    For a head that did not reach the target the bound is all its steps; for a base that had reached it by its
    first score, the steps to that score. Both suffice for FAIL, not for PASS. A head that had reached it by
    its first score suffices for PASS, not for FAIL.
    """
    logs = [
        math.log((row.head_steps_to_target or row.head_steps) / row.base_steps_to_target)
        for row in rows
        if row.base_steps_to_target
    ]
    if len(logs) < FEWEST_SEEDS:
        return Judgement("INVALID", (reasons.TargetRarelyReached(seeds=len(logs)),))
    verdict, log = _paired(logs, math.log1p(limit), rule)
    extra = _share_more(log)
    judgement = _judgement(verdict, reasons.ExtraSteps(extra=extra, limit=limit), extra, limit)
    why = list(judgement.reasons)
    missed = sum(row.head_steps_to_target is None for row in rows)
    if missed:
        why.append(reasons.TargetMissed(missed=missed, seeds=len(rows)))
    label: Label = "head" if verdict == "FAIL" else "base"
    if early := sum(_was_early(row, label) for row in rows):
        why.append(reasons.TargetAtFirstScore(label=label, reached=early, seeds=len(rows)))
        return Judgement("INVALID", tuple(why))
    return Judgement("INCONCLUSIVE" if missed and verdict == "PASS" else verdict, tuple(why))


def _was_early(row: SeedScores, label: Label) -> bool:
    """Check that the target was reached by the first score, so that the steps to it are unknown."""
    to_target = {"base": row.base_steps_to_target, "head": row.head_steps_to_target}[label]
    return to_target is not None and to_target <= row.first_steps[label == "head"]


def _judgement(verdict: Verdict, reason: Reason, estimate: Estimate, limit: float) -> Judgement:
    if verdict == "PASS":
        return Judgement("PASS")
    is_beyond = verdict == "INCONCLUSIVE" and estimate.low is not None and estimate.low > limit
    return Judgement(verdict, (reason, reasons.BeyondLimit()) if is_beyond else (reason,))


def _share_more(log: Estimate) -> Estimate:
    """Return a log ratio as a share: 0.05 is 5 % more."""
    low, high = (None if end is None else math.expm1(end) for end in (log.low, log.high))
    return Estimate(math.expm1(log.value), low, high, log.n)


def _paired(values: list[float], limit: float, rule: Rule) -> tuple[Verdict, Estimate]:
    """Return PASS where the mean is shown to be below the limit; else FAIL where it is shown above 0.

    The interval has the level at which PASS is decided.
    """
    sample = np.array(values)
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample))
    within, worse = (
        student_quantile(1 - level, len(sample) - 1) * error
        for level in (_WITHIN_LEVEL / rule.tries, rule.worse_level / 2)
    )
    estimate = Estimate(mean, mean - within, mean + within, len(sample))
    if mean + within < limit:
        return "PASS", estimate
    return "FAIL" if mean - worse > 0 else "INCONCLUSIVE", estimate


def seed_scores(seed: int, base: Curve, head: Curve, measure: Measure, limits: Limits) -> SeedScores:
    """Return the scores and steps of one seed."""
    sign = 1 if measure.higher_is_better else -1  # more is better of every score below
    of_base, of_head = (_finite(curve, measure.key, sign) for curve in (base, head))
    by_half = [
        best
        for curve, points in ((base, of_base), (head, of_head))
        if (best := _best(points, curve.steps[(len(curve.steps) - 1) // 2])) is not None
    ]
    base_steps = head_steps = None
    if by_half:
        common = min(by_half)
        allowed = (limits.max_accuracy_loss or 0.0) * (abs(common) if measure.relative else 1.0)
        base_steps, head_steps = (_steps_to(common - allowed, points) for points in (of_base, of_head))
    best_base, best_head = _best(of_base, base.steps[-1]), _best(of_head, head.steps[-1])
    return SeedScores(
        seed=seed,
        base=None if base.diverged or best_base is None else sign * best_base,
        head=None if head.diverged or best_head is None else sign * best_head,
        base_steps_to_target=base_steps,
        head_steps_to_target=head_steps,
        head_steps=head.steps[-1],
        first_steps=(base.steps[0], head.steps[0]),
    )


def _finite(curve: Curve, key: str, sign: int) -> list[tuple[int, float]]:
    values = zip(curve.steps, (scores.get(key) for scores in curve.scores), strict=True)
    return [(step, sign * value) for step, value in values if value is not None and math.isfinite(value)]


def _best(points: Sequence[tuple[int, float]], steps: int) -> float | None:
    """Return the best score within ``steps`` steps; None where none is finite."""
    return max((value for step, value in points if step <= steps), default=None)


def _steps_to(target: float, points: Sequence[tuple[int, float]]) -> int | None:
    """Return the steps at which the target was reached; None where it was not."""
    before: tuple[int, float] | None = None
    for step, value in points:
        if value >= target:
            if before is None:
                return step
            earlier, lower = before
            return math.ceil(earlier + (step - earlier) * (target - lower) / (value - lower))
        before = (step, value)
    return None


#: Half of fewer epochs is the first epoch alone, by which both have trivially reached the target.
_FEWEST_EPOCHS = 3


def compare_trainings(
    workloads: Sequence[Workload],
    dataset: str,
    limits: Limits,
    worse_level: float,
    seeds: Sequence[int],
    deadline: float,
    say: Callable[[str], None],
) -> QualityResult:
    """Train base and head (``workloads``) on each seed and judge that head is no worse.

    No seed is started after ``deadline``, of :func:`time.monotonic`. ``worse_level``: see
    :class:`harness.timing.gate.trainings.Rule`.

    Raises:
        ConfigurationFailed: base or head failed.
    """
    task = workloads[0].task
    if limits.max_extra_steps is not None and task.epochs < _FEWEST_EPOCHS:
        reason = reasons.TooFewEpochs(epochs=task.epochs, needed=_FEWEST_EPOCHS)
        return QualityResult(verdict="INVALID", reasons=[reason])
    tries = tries_of(len(seeds))
    rule = Rule(measure_of_task(task), limits, len(tries), worse_level)
    rows: list[SeedScores] = []
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        say(f"training base and head on seed {seed}")
        base, head = (_train(workload, dataset, seed) for workload in workloads)
        rows.append(seed_scores(seed, base, head, rule.measure, limits))
        if len(rows) in tries and judge(rows, rule).verdict == "PASS":
            break
    verdict, why = judge(rows, rule)
    return QualityResult(verdict=verdict, reasons=list(why), measure=rule.measure.name, seeds=rows)


def _train(workload: Workload, dataset: str, seed: int) -> Curve:
    with training_worker(workload, dataset) as worker:
        return worker.curve(seed)
