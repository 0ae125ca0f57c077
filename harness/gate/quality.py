"""Whether head learns what base learns.

First the maths: both make the same first steps in float64, where rounding leaves 1e-15 and any other
formula shows, and again in the precision that is timed; then they are scored. Where the maths differ and
the suite allows that, both are trained on the same seeds, and head must show that it loses no more of
the score, and takes no more steps, than is allowed.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from harness.duel.sides import Side
from harness.gate.learner import Curve, Maths, best, learner
from harness.gate.record import QualityResult, SeedScores, Verdict
from harness.gate.suite import Limits
from harness.intervals import student_quantile
from harness.options import Value
from harness.parity import LOSS_TOLERANCES, TOLERANCE
from harness.runs import Measure, measure_of_task
from harness.session import Declined
from harness.spec import Precision

#: Steps of the comparison in float64, and of the one in the precision that is timed: there, only the
#: first can tell, for later ties that rounding decides take equal trainings apart.
_EXACT_STEPS = 20
_TIMED_STEPS = 3
#: Of scores, which pass through decompositions that amplify rounding.
_SCORE_TOLERANCE = 1e-6
_FEWEST_SEEDS = 3
_LEVEL = 0.05


def same_maths(sides: list[Side], dataset: str, limit_seconds: float) -> QualityResult:
    """Compare the first steps of base and head: PASS where rounding explains all differences, else FAIL.

    Raises:
        SideFailed: a side could not do it.
    """
    ours, theirs = sides
    # Head first: what neither can do is head's fault, not a base that nothing can be held to.
    head = observe(theirs, dataset, limit_seconds)
    base = observe(ours, dataset, limit_seconds)
    changed = changed_options(ours.options, theirs.options)
    if not changed and ours.plan.task != theirs.plan.task:
        changed = " (its description differs)"
    return compare_maths(base, head, changed)


def compare_maths(base: list[Maths], head: list[Maths], changed: str) -> QualityResult:
    """PASS where rounding explains all differences; ``changed`` tells of changed options, empty of none."""
    before, after = ([one.precision for one in maths] for maths in (base, head))
    if before != after:
        reason = f"head runs in {', '.join(after)} where base runs in {', '.join(before)}"
        return QualityResult(verdict="FAIL", reason=reason)
    worst = 0.0
    for ours, theirs in zip(base, head, strict=True):
        found, words = _difference(ours, theirs)
        if words:
            return QualityResult(
                verdict="FAIL", reason=f"head does other maths: {words}{changed}", worst=found
            )
        if ours.precision == "float64":
            worst = found
    if changed:
        return QualityResult(verdict="FAIL", reason=f"head's task is another{changed}", worst=worst)
    return QualityResult(verdict="PASS", worst=worst)


def observe(side: Side, dataset: str, limit_seconds: float) -> list[Maths]:
    """The first steps of a side, in float64 where it can and in the precision that is timed.

    Raises:
        SideFailed: it could not do it.
    """
    with learner(side, dataset, limit_seconds) as asked:
        precision = side.plan.precision
        try:
            exact = [asked.maths("float64", _EXACT_STEPS)]
        except Declined:
            exact = []
        if precision == "float64" and exact:
            return exact
        return [*exact, asked.maths(precision, _TIMED_STEPS)]


def changed_options(base: Mapping[str, Value], head: Mapping[str, Value]) -> str:
    """In brackets what head has otherwise; empty where nothing."""
    changed = [
        f"{name} {base.get(name)} is now {value}" for name, value in head.items() if base.get(name) != value
    ]
    return f" ({', '.join(changed)})" if changed else ""


def _difference(base: Maths, head: Maths) -> tuple[float, str]:
    """The worst relative deviation, and in words the first one that rounding does not explain."""
    tolerance = _loss_tolerance(base.precision)
    worst = 0.0
    for step, (right, told) in enumerate(zip(base.losses, head.losses, strict=True), 1):
        for ours, theirs in zip(right, told, strict=True):
            found = _relative(ours, theirs)
            worst = max(worst, found)
            if found > tolerance:
                return found, (
                    f"in {base.precision} its loss of step {step} is {theirs} where base's is {ours} "
                    f"(relative {found:.1e})"
                )
    if base.precision != "float64":
        return worst, ""
    for name, ours in base.scores.items():
        found = _relative(ours, head.scores.get(name))
        if found > _SCORE_TOLERANCE:
            return found, (
                f"training agrees, but after {len(base.losses)} steps the validation {name} is "
                f"{head.scores.get(name)} where base's is {ours}: evaluation differs"
            )
    return worst, ""


def _loss_tolerance(precision: Precision) -> float:
    return TOLERANCE if precision == "float64" else LOSS_TOLERANCES[precision]


def _relative(ours: float | None, theirs: float | None) -> float:
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-12)


def no_worse(
    sides: list[Side],
    dataset: str,
    limits: Limits,
    seeds: Iterable[int],
    limit_seconds: float,
    told: Callable[[str], None],
) -> QualityResult:
    """Train both sides on the same seeds until head is shown to be no worse, or the seeds are used up.

    The score is that of the best epoch on validation data. The target is what base itself has reached
    on that seed by half of its epochs. Means over paired seeds, by Student's one-sided test at 5 %.

    Raises:
        SideFailed: a side could not do it.
    """
    measure = measure_of_task(sides[0].plan.task)
    rows: list[SeedScores] = []
    result = QualityResult(verdict="INCONCLUSIVE", reason="no seed was trained", measure=measure.name)
    for seed in seeds:
        told(f"training seed {seed} on both")
        base, head = (_train(side, dataset, seed, limit_seconds) for side in sides)
        rows.append(_seed_scores(seed, base, head, measure))
        verdict, reason = _judge(rows, measure, limits)
        result = QualityResult(verdict=verdict, reason=reason, measure=measure.name, seeds=list(rows))
        if verdict == "PASS":
            break
    return result


def _train(side: Side, dataset: str, seed: int, limit_seconds: float) -> Curve:
    with learner(side, dataset, limit_seconds) as asked:
        return asked.curve(seed)


def _seed_scores(seed: int, base: Curve, head: Curve, measure: Measure) -> SeedScores:
    higher = measure.higher_is_better
    ours, theirs = ([scores.get(measure.key) for scores in curve.scores] for curve in (base, head))
    target = best(ours[: -(-len(ours) // 2)], higher_is_better=higher)
    return SeedScores(
        seed=seed,
        base=best(ours, higher_is_better=higher),
        head=best(theirs, higher_is_better=higher),
        base_steps_to_target=_steps_to(target, base.steps, ours, higher_is_better=higher),
        head_steps_to_target=_steps_to(target, head.steps, theirs, higher_is_better=higher),
    )


def _steps_to(
    target: float, steps: list[int], values: list[float | None], *, higher_is_better: bool
) -> int | None:
    reached: Iterator[int] = (
        step
        for step, value in zip(steps, values, strict=True)
        if value is not None and (value >= target if higher_is_better else value <= target)
    )
    return next(reached, None)


def _judge(rows: list[SeedScores], measure: Measure, limits: Limits) -> tuple[Verdict, str]:
    assert limits.max_accuracy_loss is not None  # noqa: S101  who allows no loss is not asked for seeds
    sign = 1 if measure.higher_is_better else -1
    losses = [sign * (row.base - row.head) / (abs(row.base) if measure.relative else 1.0) for row in rows]
    judged = [_paired(losses, limits.max_accuracy_loss, f"{measure.name} lost")]
    if limits.max_extra_steps is not None:
        extra = [
            math.log(row.head_steps_to_target / row.base_steps_to_target)
            if row.head_steps_to_target and row.base_steps_to_target
            else math.inf
            for row in rows
        ]
        judged.append(_paired(extra, math.log1p(limits.max_extra_steps), "steps to base's half-way score"))
    worst: Verdict = "PASS"
    for verdict in ("FAIL", "INCONCLUSIVE"):
        if any(found == verdict for found, _ in judged):
            worst = verdict
            break
    return worst, "; ".join(reason for found, reason in judged if found == worst and reason)


def _paired(values: list[float], limit: float, what: str) -> tuple[Verdict, str]:
    """Whether the mean is surely below the limit; FAIL where it is surely above 0 and not that."""
    sample = np.array(values)
    if np.isinf(sample).any():
        return "FAIL", f"{what}: not reached on {int(np.isinf(sample).sum())} of {len(sample)} seeds"
    if len(sample) < _FEWEST_SEEDS:
        return "INCONCLUSIVE", f"{what}: {len(sample)} seeds tell nothing yet"
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample))
    half = student_quantile(1 - _LEVEL, len(sample) - 1) * error
    if mean + half < limit:
        return "PASS", ""
    said = f"{what}: {mean:+.2%} ± {half:.2%} over {len(sample)} seeds, limit {limit:.2%}"
    return ("FAIL" if mean - half > 0 else "INCONCLUSIVE"), said
