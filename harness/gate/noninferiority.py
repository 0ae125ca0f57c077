"""Whether head learns no less than base where it does other maths: both are trained on the same seeds.

Compared are the validation score of the best epoch, and the steps to a target: what both have come to on
that seed by half of their epochs, less what may be lost. Both have a say in the target, for one that was
picked among base's scores alone would be one that chance had favoured base with. Scores are known once an
epoch; between two of them a straight line says when the target was reached, and of one that base had
reached by its first score nothing says how much sooner. Of both, means over paired seeds, by Student's
one-sided tests:

- PASS: what is lost is surely below its limit. Tried after 3 seeds, 6, 12 and so on, and after the last;
  the tries share the level (Bonferroni).
- FAIL: with all seeds that there was time for, worse than base for certain.
- INCONCLUSIVE: neither.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from harness.duel.workloads import Workload
from harness.gate import reasons
from harness.gate.learner import Curve, best, learner
from harness.gate.reasons import Label, Reason
from harness.gate.record import QualityResult, SeedScores, Verdict
from harness.gate.suite import FEWEST_SEEDS, Limits
from harness.stats.estimate import Estimate
from harness.stats.intervals import student_quantile
from harness.training.measures import Measure, measure_of_task

#: The chance to pass what is in truth at its limit, over all tries.
_WITHIN_LEVEL = 0.05
#: Of fewer, half is the first alone, by which both sides have come to what both have come to by then.
_FEWEST_EPOCHS = 3


class Rule(NamedTuple):
    """What decides: the score, what head may lose, and the chances of error.

    Passing may be tried ``tries`` times in all. ``worse_level`` is the chance to fail what is in truth as
    good as base, over the score and the steps together.
    """

    measure: Measure
    limits: Limits
    tries: int
    worse_level: float


class Judgement(NamedTuple):
    """A verdict, and why."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


def no_worse(
    sides: list[Workload],
    dataset: str,
    limits: Limits,
    worse_level: float,
    seeds: Sequence[int],
    limit_seconds: float,
    deadline: float,
    told: Callable[[str], None],
) -> QualityResult:
    """Train both sides on the same seeds until head is shown to be no worse, or the seeds are used up.

    No seed is begun after ``deadline``, of :func:`time.monotonic`. ``worse_level``: see :class:`Rule`.

    Raises:
        ConfigurationFailed: a side could not do it.
    """
    task = sides[0].plan.task
    if limits.max_extra_steps is not None and task.epochs < _FEWEST_EPOCHS:
        reason = reasons.TooFewEpochs(epochs=task.epochs, needed=_FEWEST_EPOCHS)
        return QualityResult(verdict="INVALID", reasons=[reason])
    tries = tries_of(len(seeds))
    rule = Rule(measure_of_task(task), limits, len(tries), worse_level)
    rows: list[SeedScores] = []
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        told(f"training seed {seed} on both")
        base, head = (_train(side, dataset, seed, limit_seconds) for side in sides)
        rows.append(seed_scores(seed, base, head, rule.measure, limits))
        if len(rows) in tries and judge(rows, rule).verdict == "PASS":
            break
    return _judged(rows, rule)


def tries_of(most: int) -> list[int]:
    """After how many seeds passing is tried, of ``most`` in all."""
    tries, seeds = [], FEWEST_SEEDS
    while seeds < most:
        tries.append(seeds)
        seeds *= 2
    return [*tries, most]


def _train(side: Workload, dataset: str, seed: int, limit_seconds: float) -> Curve:
    with learner(side, dataset, limit_seconds) as asked:
        return asked.curve(seed)


def seed_scores(seed: int, base: Curve, head: Curve, measure: Measure, limits: Limits) -> SeedScores:
    """What a seed came to on both sides."""
    higher = measure.higher_is_better
    ours, theirs = ([scores.get(measure.key) for scores in curve.scores] for curve in (base, head))
    halfway = [best(values[: -(-len(values) // 2)], higher_is_better=higher) for values in (ours, theirs)]
    both = best([score for score in halfway if score is not None], higher_is_better=not higher)
    to_target: list[int | None] = [None, None]
    if both is not None:
        target = both - (1 if higher else -1) * _allowed(both, measure, limits)
        to_target = [
            _steps_to(target, curve.steps, values, higher_is_better=higher)
            for curve, values in ((base, ours), (head, theirs))
        ]
    return SeedScores(
        seed=seed,
        base=None if base.diverged else best(ours, higher_is_better=higher),
        head=None if head.diverged else best(theirs, higher_is_better=higher),
        base_steps_to_target=to_target[0],
        head_steps_to_target=to_target[1],
        head_steps=head.steps[-1],
        first_steps=(base.steps[0], head.steps[0]),
    )


def _allowed(score: float, measure: Measure, limits: Limits) -> float:
    """What may be lost of a score."""
    return (limits.max_accuracy_loss or 0.0) * (abs(score) if measure.relative else 1.0)


def _steps_to(
    target: float, steps: list[int], values: list[float | None], *, higher_is_better: bool
) -> int | None:
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


def _judged(rows: list[SeedScores], rule: Rule) -> QualityResult:
    verdict, found = judge(rows, rule)
    return QualityResult(verdict=verdict, reasons=list(found), measure=rule.measure.name, seeds=list(rows))


def _by_first_score(row: SeedScores) -> tuple[bool, bool]:
    """Whether base and head had come to the target by their first score: how soon is not known then."""
    base, head = (
        steps is not None and steps <= first
        for steps, first in zip(
            (row.base_steps_to_target, row.head_steps_to_target), row.first_steps, strict=True
        )
    )
    return base, head


def judge(rows: list[SeedScores], rule: Rule) -> Judgement:
    """The verdict on these seeds, and why."""
    if len(rows) < FEWEST_SEEDS:
        return Judgement("INVALID", (reasons.TooFewSeeds(seeds=len(rows)),))
    if diverged := [row.seed for row in rows if row.base is None]:
        return Judgement("INVALID", (reasons.Diverged(label="base", seed=diverged[0]),))
    if diverged := [row.seed for row in rows if row.head is None]:
        return Judgement("FAIL", (reasons.Diverged(label="head", seed=diverged[0]),))
    judged = [_score_lost(rows, rule)]
    if rule.limits.max_extra_steps is not None:
        judged.append(_extra_steps(rows, rule.limits.max_extra_steps, rule))
    if any(one.verdict == "FAIL" for one in judged):
        worst = [one for one in judged if one.verdict == "FAIL"]
    else:
        worst = [one for one in judged if one.verdict != "PASS"]
    if not worst:
        return Judgement("PASS")
    verdicts = {one.verdict for one in worst}
    verdict: Verdict = "INVALID" if "INVALID" in verdicts else worst[0].verdict
    return Judgement(verdict, tuple(reason for one in worst for reason in one.reasons))


def _score_lost(rows: list[SeedScores], rule: Rule) -> Judgement:
    measure = rule.measure
    sign = 1 if measure.higher_is_better else -1
    lost = [
        sign * (row.base - row.head) / (abs(row.base) if measure.relative else 1.0)
        for row in rows
        if row.base is not None and row.head is not None
    ]
    limit = rule.limits.max_accuracy_loss or 0.0
    verdict, estimate = _paired(lost, limit, rule)
    reason = reasons.ScoreLost(measure=measure.name, lost=estimate, limit=limit)
    return _explained(verdict, reason, estimate, limit)


def _extra_steps(rows: list[SeedScores], limit: float, rule: Rule) -> Judgement:
    """Where only a bound is known, it stands for the steps.

    For a head that has not reached the target that is all its steps, for a base that had by its first score
    the steps to that: enough to fail, not to pass. For a head that had by its first score it is enough to
    pass, not to fail.
    """
    logs = [
        math.log((row.head_steps_to_target or row.head_steps) / row.base_steps_to_target)
        for row in rows
        if row.base_steps_to_target
    ]
    if len(logs) < FEWEST_SEEDS:
        return Judgement("INVALID", (reasons.TargetRarelyReached(seeds=len(logs)),))
    verdict, estimate = _paired(logs, math.log1p(limit), rule)
    extra = _shares(estimate)
    judged = _explained(verdict, reasons.ExtraSteps(extra=extra, limit=limit), extra, limit)
    missed = sum(row.head_steps_to_target is None for row in rows)
    label: Label = "head" if verdict == "FAIL" else "base"
    early = sum(_by_first_score(row)[label == "head"] for row in rows)
    found = list(judged.reasons)
    if missed:
        found.append(reasons.TargetMissed(missed=missed, seeds=len(rows)))
    if early:
        found.append(reasons.TargetAtFirstScore(label=label, reached=early, seeds=len(rows)))
        return Judgement("INVALID", tuple(found))
    if missed and verdict == "PASS":
        return Judgement("INCONCLUSIVE", tuple(found))
    return Judgement(verdict, tuple(found))


def _explained(verdict: Verdict, reason: Reason, estimate: Estimate, limit: float) -> Judgement:
    if verdict == "PASS":
        return Judgement("PASS")
    beyond = verdict == "INCONCLUSIVE" and estimate.low is not None and estimate.low > limit
    return Judgement(verdict, (reason, reasons.BeyondLimit()) if beyond else (reason,))


def _shares(logs: Estimate) -> Estimate:
    """What logarithms of ratios are as shares: 0.05 is 5 % more."""
    low, high = (None if end is None else math.expm1(end) for end in (logs.low, logs.high))
    return Estimate(math.expm1(logs.value), low, high, logs.n)


def _paired(values: list[float], limit: float, rule: Rule) -> tuple[Verdict, Estimate]:
    """PASS where the mean is surely below the limit; FAIL where it is surely above 0 and not that.

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
