"""Whether head learns no less than base, judged by trainings of both on the same seeds.

Compared are the validation score of the best epoch, and the steps to a target (see
:mod:`harness.gate.seed_scores`). Both by one-sided Student tests of means over paired seeds:

- PASS: the loss is shown to be below its limit. Tried after 3 seeds, 6, 12 and so on, and after the last;
  the tries share the level (Bonferroni).
- FAIL: head is shown to be worse than base, with all seeds that there was time for.
- INCONCLUSIVE: neither is shown; more seeds may decide.
- INVALID: too few seeds are comparable, or trainings are too short to show when the target was reached.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.gate import reasons
from harness.gate.reasons import Label, Reason
from harness.gate.record import SeedScores, Verdict
from harness.gate.suite import FEWEST_SEEDS, Limits
from harness.stats.estimate import Estimate
from harness.stats.intervals import student_quantile
from harness.training.measures import Measure

#: The chance to pass a head that is exactly at its limit, over all tries.
_WITHIN_LEVEL = 0.05


class Rule(NamedTuple):
    """How trainings are judged: the score, the loss allowed, and the chances of error.

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
    """The numbers of seeds after which PASS is tried, of ``most`` in all."""
    tries, seeds = [], FEWEST_SEEDS
    while seeds < most:
        tries.append(seeds)
        seeds *= 2
    return [*tries, most]


def judge(rows: Sequence[SeedScores], rule: Rule) -> Judgement:
    """The verdict on these seeds."""
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
    sign = 1 if measure.higher_is_better else -1
    losses = [
        sign * (row.base - row.head) / (abs(row.base) if measure.relative else 1.0)
        for row in rows
        if row.base is not None and row.head is not None
    ]
    verdict, lost = _paired(losses, limit, rule)
    return _judgement(verdict, reasons.ScoreLost(measure=measure.name, lost=lost, limit=limit), lost, limit)


def _extra_steps(rows: Sequence[SeedScores], limit: float, rule: Rule) -> Judgement:
    """The steps to the target, of which some are known only as a bound.

    For a head that did not reach it the bound is all its steps; for a base that had reached it by its first
    score, the steps to that score. Both suffice for FAIL, not for PASS. A head that had reached it by its
    first score suffices for PASS, not for FAIL.
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
    if early := sum(map(_head_was_early if verdict == "FAIL" else _base_was_early, rows)):
        why.append(reasons.TargetAtFirstScore(label=label, reached=early, seeds=len(rows)))
        return Judgement("INVALID", tuple(why))
    return Judgement("INCONCLUSIVE" if missed and verdict == "PASS" else verdict, tuple(why))


def _base_was_early(row: SeedScores) -> bool:
    """Whether base had reached the target by its first score, so that how soon is unknown."""
    return row.base_steps_to_target is not None and row.base_steps_to_target <= row.first_steps[0]


def _head_was_early(row: SeedScores) -> bool:
    return row.head_steps_to_target is not None and row.head_steps_to_target <= row.first_steps[1]


def _judgement(verdict: Verdict, reason: Reason, estimate: Estimate, limit: float) -> Judgement:
    if verdict == "PASS":
        return Judgement("PASS")
    is_beyond = verdict == "INCONCLUSIVE" and estimate.low is not None and estimate.low > limit
    return Judgement(verdict, (reason, reasons.BeyondLimit()) if is_beyond else (reason,))


def _share_more(log: Estimate) -> Estimate:
    """A log ratio as a share: 0.05 is 5 % more."""
    low, high = (None if end is None else math.expm1(end) for end in (log.low, log.high))
    return Estimate(math.expm1(log.value), low, high, log.n)


def _paired(values: list[float], limit: float, rule: Rule) -> tuple[Verdict, Estimate]:
    """PASS where the mean is shown to be below the limit; else FAIL where it is shown to be above 0.

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
