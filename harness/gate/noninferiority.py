"""Whether head learns no less than base where it does other maths: both are trained on the same seeds.

Compared are the validation score of the best epoch, and the steps to a target: what both have come to on
that seed by half of their epochs, less what may be lost. Both have a say in the target, for one that was
picked among base's scores alone would be one that chance had favoured base with. Of both, means over paired
seeds, by Student's one-sided tests:

- PASS: what is lost is surely below its limit. Tried after 3 seeds, 6, 12 and so on, and after the last;
  the tries share the level (Bonferroni).
- FAIL: with all seeds, worse than base for certain.
- INCONCLUSIVE: neither.
"""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from harness.duel.sides import Side
from harness.gate.learner import Curve, best, learner
from harness.gate.record import QualityResult, SeedScores, Verdict
from harness.gate.suite import FEWEST_SEEDS, Limits
from harness.intervals import student_quantile
from harness.runs import Measure, measure_of_task

#: The chance to pass what is in truth at its limit, over all tries.
_WITHIN_LEVEL = 0.05
#: The chance to fail what is in truth as good as base, over the score and the steps together.
_WORSE_LEVEL = 0.01
#: Of fewer, half is the first alone, by which both sides have come to what both have come to by then.
_FEWEST_EPOCHS = 3


def no_worse(
    sides: list[Side],
    dataset: str,
    limits: Limits,
    seeds: Sequence[int],
    limit_seconds: float,
    deadline: float,
    told: Callable[[str], None],
) -> QualityResult:
    """Train both sides on the same seeds until head is shown to be no worse, or the seeds are used up.

    No seed is begun after ``deadline``, of :func:`time.monotonic`.

    Raises:
        SideFailed: a side could not do it.
    """
    task = sides[0].plan.task
    if limits.max_extra_steps is not None and task.epochs < _FEWEST_EPOCHS:
        reason = (
            f"trainings of {task.epochs} epochs tell nothing of the steps to a target: give epochs = "
            f'{_FEWEST_EPOCHS} or more, or max_extra_steps = "off"'
        )
        return QualityResult(verdict="INCONCLUSIVE", reason=reason, unsound=True)
    measure = measure_of_task(task)
    rows: list[SeedScores] = []
    tries = tries_of(len(seeds))
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        told(f"training seed {seed} on both")
        base, head = (_train(side, dataset, seed, limit_seconds) for side in sides)
        rows.append(seed_scores(seed, base, head, measure, limits))
        if len(rows) in tries and _judged(rows, measure, limits, len(tries)).verdict == "PASS":
            break
    return _judged(rows, measure, limits, len(tries))


def tries_of(most: int) -> list[int]:
    """After how many seeds passing is tried, of ``most`` in all."""
    tries, seeds = [], FEWEST_SEEDS
    while seeds < most:
        tries.append(seeds)
        seeds *= 2
    return [*tries, most]


def _train(side: Side, dataset: str, seed: int, limit_seconds: float) -> Curve:
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
    )


def _allowed(score: float, measure: Measure, limits: Limits) -> float:
    """What may be lost of a score."""
    return (limits.max_accuracy_loss or 0.0) * (abs(score) if measure.relative else 1.0)


def _steps_to(
    target: float, steps: list[int], values: list[float | None], *, higher_is_better: bool
) -> int | None:
    reached = (
        step
        for step, value in zip(steps, values, strict=True)
        if value is not None
        and math.isfinite(value)
        and (value >= target if higher_is_better else value <= target)
    )
    return next(reached, None)


def _judged(rows: list[SeedScores], measure: Measure, limits: Limits, tries: int) -> QualityResult:
    verdict, reason = judge(rows, measure, limits, tries)
    comparable = len(rows) >= FEWEST_SEEDS and all(row.base is not None for row in rows)
    if limits.max_extra_steps is not None:
        comparable = comparable and sum(row.base_steps_to_target is not None for row in rows) >= FEWEST_SEEDS
    return QualityResult(
        verdict=verdict,
        reason=reason,
        unsound=verdict == "INCONCLUSIVE" and not comparable,
        measure=measure.name,
        seeds=list(rows),
    )


def judge(rows: list[SeedScores], measure: Measure, limits: Limits, tries: int) -> tuple[Verdict, str]:
    """The verdict on these seeds, and why; passing may be tried ``tries`` times in all."""
    if len(rows) < FEWEST_SEEDS:
        return "INCONCLUSIVE", f"the budget was spent after {len(rows)} seeds, which tell nothing yet"
    if fallen := [row.seed for row in rows if row.base is None]:
        return "INCONCLUSIVE", f"base diverged on seed {fallen[0]}, so there is nothing to hold head to"
    if fallen := [row.seed for row in rows if row.head is None]:
        return "FAIL", f"head diverged on seed {fallen[0]}, and base did not"
    judged = [_score_lost(rows, measure, limits, tries)]
    if limits.max_extra_steps is not None:
        judged.append(_extra_steps(rows, limits.max_extra_steps, tries))
    for worst in ("FAIL", "INCONCLUSIVE"):
        if reasons := [reason for verdict, reason in judged if verdict == worst]:
            return worst, "; ".join(reasons)
    return "PASS", ""


def _score_lost(rows: list[SeedScores], measure: Measure, limits: Limits, tries: int) -> tuple[Verdict, str]:
    sign = 1 if measure.higher_is_better else -1
    lost = [
        sign * (row.base - row.head) / (abs(row.base) if measure.relative else 1.0)
        for row in rows
        if row.base is not None and row.head is not None
    ]
    return _paired(lost, limits.max_accuracy_loss or 0.0, f"{measure.name} lost", tries)


def _extra_steps(rows: list[SeedScores], limit: float, tries: int) -> tuple[Verdict, str]:
    """Where head has not reached the target, all its steps stand for more: enough to fail, not to pass."""
    logs = [
        math.log((row.head_steps_to_target or row.head_steps) / row.base_steps_to_target)
        for row in rows
        if row.base_steps_to_target
    ]
    if len(logs) < FEWEST_SEEDS:
        return "INCONCLUSIVE", f"base has come to a target on {len(logs)} seeds alone"
    what = "more steps to what both had come to half-way"
    verdict, reason = _paired(logs, math.log1p(limit), what, tries, math.expm1)
    missed = sum(row.head_steps_to_target is None for row in rows)
    if not missed:
        return verdict, reason
    told = f"head has not come to base's half-way score on {missed} of {len(rows)} seeds"
    return ("FAIL" if verdict == "FAIL" else "INCONCLUSIVE"), "; ".join(filter(None, (reason, told)))


def _paired(
    values: list[float], limit: float, what: str, tries: int, share: Callable[[float], float] = float
) -> tuple[Verdict, str]:
    """Whether the mean is surely below the limit; FAIL where it is surely above 0 and not that.

    ``share`` makes of a value what is told in per cent.
    """
    sample = np.array(values)
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample))
    within, worse = (
        student_quantile(1 - level, len(sample) - 1) * error
        for level in (_WITHIN_LEVEL / tries, _WORSE_LEVEL / 2)
    )
    if mean + within < limit:
        return "PASS", ""
    low, high = share(mean - within), share(mean + within)
    told = (
        f"{what}: {share(mean):+.2%} [{low:+.2%}, {high:+.2%}] over {len(sample)} seeds, "
        f"limit {share(limit):.2%}"
    )
    return ("FAIL" if mean - worse > 0 else "INCONCLUSIVE"), told
