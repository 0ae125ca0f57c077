"""Judge by trainings of base and head on the same seeds that head learns no less than base.

The validation score of the best epoch is judged by one-sided Student tests of means over paired seeds:

- PASS: the loss is shown to be below its limit. Tried after 3 seeds, 6, 12 and so on, and after the last; the
  tries share the level (Bonferroni).
- FAIL: head is shown to be worse than base, with all seeds that there was time for.
- INCONCLUSIVE: neither is shown; more seeds may decide.
- INVALID: too few seeds are comparable.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.documents.numbers import estimate
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import student_quantile
from harness.core.training.measures import Measure, measure_of_task
from harness.timing.engine.workloads import Workload
from harness.timing.environments.suite import FEWEST_SEEDS, Limits
from harness.timing.gate.reasons import MORE_TIME, Reason
from harness.timing.gate.record import QualityResult, SeedScores, Verdict
from harness.timing.gate.training_worker import Curve, training_worker

#: The chance to pass a head that is exactly at its limit, over all tries.
_WITHIN_LEVEL = 0.05
_MORE_SEEDS = "Run the gate again with more seeds for this benchmark and more time (--budget)."


class Rule(NamedTuple):
    """The rule by which trainings are judged: the score, the loss allowed, and the chances of error.

    PASS may be tried ``tries`` times in all. ``worse_level`` is the chance to fail a head that is as good as
    base.
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
        text = f"the budget was spent after {len(rows)} seeds, too few to compare"
        return Judgement("INVALID", (Reason(kind="not measured", text=text, hint=MORE_TIME),))
    if diverged := [row.seed for row in rows if row.base is None]:
        text = f"base diverged on seed {diverged[0]}, so there is nothing to compare head with"
        hint = "Change the benchmark so that base trains without diverging."
        return Judgement("INVALID", (Reason(kind="diverged", text=text, hint=hint),))
    if diverged := [row.seed for row in rows if row.head is None]:
        text = f"head diverged on seed {diverged[0]}, and base did not"
        return Judgement("FAIL", (Reason(kind="diverged", text=text, command="check"),))
    return _score_lost(rows, rule)


def _score_lost(rows: Sequence[SeedScores], rule: Rule) -> Judgement:
    measure, limit = rule.measure, rule.limits.max_accuracy_loss or 0.0
    losses = [
        measure.sign * (row.base - row.head) / (abs(row.base) if measure.relative else 1.0)
        for row in rows
        if row.base is not None and row.head is not None
    ]
    verdict, lost = _paired(losses, limit, rule)
    if verdict == "PASS":
        return Judgement("PASS")
    shown = estimate(lost.scaled(100), 2, "%")
    text = f"{measure.name} lost {shown}, limit {100 * limit:g} % ({lost.n} seeds)"
    if verdict == "FAIL":
        accept = "raise max_accuracy_loss"
        return Judgement(verdict, (Reason(kind="proven worse", text=text, accept=accept, command="check"),))
    is_beyond = lost.low is not None and lost.low > limit
    if is_beyond:
        text += "; probably worse: the whole interval is beyond the limit"
    return Judgement(verdict, (Reason(kind="undecided", text=text, hint=_MORE_SEEDS, blocks_pass=is_beyond),))


def _paired(values: list[float], limit: float, rule: Rule) -> tuple[Verdict, Estimate]:
    """Return PASS where the mean is shown to be below the limit; else FAIL where it is shown above 0.

    The interval has the level at which PASS is decided.
    """
    sample = np.array(values)
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample))
    within, worse = (
        student_quantile(1 - level, len(sample) - 1) * error
        for level in (_WITHIN_LEVEL / rule.tries, rule.worse_level)
    )
    lost = Estimate(mean, mean - within, mean + within, len(sample))
    if mean + within < limit:
        return "PASS", lost
    return "FAIL" if mean - worse > 0 else "INCONCLUSIVE", lost


def seed_scores(seed: int, base: Curve, head: Curve, measure: Measure) -> SeedScores:
    """Return the scores of one seed: those of the best epochs."""
    of_base, of_head = (_best(curve, measure) for curve in (base, head))
    return SeedScores(seed=seed, base=of_base, head=of_head)


def _best(curve: Curve, measure: Measure) -> float | None:
    """Return the best score; None where the training diverged, or no score is finite."""
    scores = (scores.get(measure.key) for scores in curve.scores)
    finite = [score for score in scores if score is not None and math.isfinite(score)]
    if curve.diverged or not finite:
        return None
    return max(finite) if measure.higher_is_better else min(finite)


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
    """
    task = workloads[0].task
    tries = tries_of(len(seeds))
    rule = Rule(measure_of_task(task), limits, len(tries), worse_level)
    rows: list[SeedScores] = []
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        say(f"training base and head on seed {seed}")
        base, head = (_train(workload, dataset, seed) for workload in workloads)
        rows.append(seed_scores(seed, base, head, rule.measure))
        if len(rows) in tries and judge(rows, rule).verdict == "PASS":
            break
    verdict, why = judge(rows, rule)
    return QualityResult(verdict=verdict, reasons=list(why), measure=rule.measure.name, seeds=rows)


def _train(workload: Workload, dataset: str, seed: int) -> Curve:
    with training_worker(workload, dataset) as worker:
        return worker.curve(seed)
