"""Whether head computes what base computes, judged by the losses and scores of their first steps.

What follows where they differ and the suite allows a difference is judged in
:mod:`harness.gate.noninferiority`.
"""

import math
from collections.abc import Sequence

import msgspec

from harness.certify.parity import LOSS_TOLERANCES, TOLERANCE
from harness.duel.workloads import Workload
from harness.gate import reasons
from harness.gate.reasons import Reason, TaskChanged
from harness.gate.record import QualityResult
from harness.gate.training_worker import FirstSteps
from harness.spec.backend import Precision
from harness.spec.task import Task

#: Of scores, which pass through decompositions that amplify rounding.
_SCORE_TOLERANCE = 1e-6


def judge_first_steps(
    base: Sequence[FirstSteps], head: Sequence[FirstSteps], change: TaskChanged | None = None
) -> QualityResult:
    """PASS if rounding explains all differences, else FAIL; INVALID if all losses of both are not finite.

    ``change`` is how head's task differs from base's. Steps for which either had too little memory are
    left out.
    """
    frameworks = [steps[-1].framework or {} for steps in (base, head)]
    lost = {steps.precision for steps in [*base, *head] if steps.memory_ran_out}
    base, head = ([steps for steps in every if steps.precision not in lost] for every in (base, head))
    result = _judged(base, head, change)
    if lost and result.verdict == "PASS":
        result = msgspec.structs.replace(result, reasons=[reasons.MemoryRanOut(precisions=sorted(lost))])
    return msgspec.structs.replace(result, frameworks=frameworks)


def task_change(base: Workload, head: Workload) -> TaskChanged | None:
    """How head's task differs from base's: in options, else in fields; None where it does not.

    An option that only head has is no change: its effect shows in the first steps.
    """
    options = {
        name: (base.options[name], value)
        for name, value in head.options.items()
        if name in base.options and base.options[name] != value
    }
    if options:
        return TaskChanged(options=options)
    before, after = base.task, head.task
    fields = [name for name in Task.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return TaskChanged(fields=fields) if fields else None


def _judged(base: list[FirstSteps], head: list[FirstSteps], change: TaskChanged | None) -> QualityResult:
    if unequal := _other_conditions(base, head):
        return _failed(unequal)
    differences = [
        _difference(ours, theirs, compare_scores=number == 0)
        for number, (ours, theirs) in enumerate(zip(base, head, strict=True))
    ]
    for worst, difference in differences:
        if difference is not None:
            return _failed(difference, *([change] if change else []), worst=worst)
    worst, _ = differences[0]  # in the more exact precision
    if change is not None:
        return _failed(change, worst=worst)
    for steps in base:
        if (step := _first_not_finite(steps)) is not None:
            reason = reasons.LossesNotFinite(precision=steps.precision, step=step)
            return QualityResult(verdict="INVALID", reasons=[reason], worst=worst)
    return QualityResult(verdict="PASS", worst=worst)


def _other_conditions(base: list[FirstSteps], head: list[FirstSteps]) -> Reason | None:
    """The precisions or the data, where head has others."""
    before, after = ([steps.precision for steps in every] for every in (base, head))
    if before != after:
        return reasons.OtherPrecisions(base=before, head=after)
    if base[-1].fingerprint != head[-1].fingerprint:
        return reasons.OtherData(base=base[-1].fingerprint, head=head[-1].fingerprint)
    return None


def _failed(*failures: Reason, worst: float | None = None) -> QualityResult:
    return QualityResult(verdict="FAIL", reasons=list(failures), worst=worst)


def _first_not_finite(steps: FirstSteps) -> int | None:
    """The first step whose loss is not finite."""
    return next((step for step, row in enumerate(steps.losses, 1) if None in row), None)


def _difference(base: FirstSteps, head: FirstSteps, *, compare_scores: bool) -> tuple[float, Reason | None]:
    """The worst relative deviation of a loss, and the first that rounding does not explain."""
    if [len(row) for row in base.losses] != [len(row) for row in head.losses]:
        return math.inf, reasons.OtherLossCount(precision=base.precision)
    tolerance, worst = _loss_tolerance(base.precision), 0.0
    for step, (of_base, of_head) in enumerate(zip(base.losses, head.losses, strict=True), 1):
        for ours, theirs in zip(of_base, of_head, strict=True):
            deviation = _relative(ours, theirs)
            worst = max(worst, deviation)
            if deviation > tolerance:
                shown = deviation if math.isfinite(deviation) else None
                return deviation, reasons.LossDiffers(
                    precision=base.precision, step=step, base=ours, head=theirs, deviation=shown
                )
    return (worst, None) if not compare_scores else _score_difference(base, head, worst)


def _score_difference(base: FirstSteps, head: FirstSteps, worst: float) -> tuple[float, Reason | None]:
    """The first score that differs. In less than float64 only the loss counts: rounding may turn a class."""
    is_exact = base.precision == "float64"
    tolerance = _SCORE_TOLERANCE if is_exact else _loss_tolerance(base.precision)
    for name, ours in base.scores.items():
        theirs = head.scores.get(name)
        deviation = _relative(ours, theirs)
        if (is_exact or name == "loss") and deviation > tolerance:
            steps = len(base.losses)
            return deviation, reasons.ScoreDiffers(score=name, steps=steps, base=ours, head=theirs)
    return worst, None


def _loss_tolerance(precision: Precision) -> float:
    return TOLERANCE if precision == "float64" else LOSS_TOLERANCES[precision]


def _relative(ours: float | None, theirs: float | None) -> float:
    """The relative deviation; infinite where only one of the two is finite."""
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-12)
