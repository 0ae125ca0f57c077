"""The reasons of a gate's verdicts as text: the one place that renders them, and nothing reads it again."""

from collections.abc import Sequence
from typing import assert_never

from harness.gate import reasons
from harness.gate.reasons import (
    BenchmarkReason,
    FirstStepsReason,
    MetricReason,
    Reason,
    Recorded,
    TrainingReason,
)
from harness.report.escaping import one_line
from harness.report.numbers import estimate, percent, percent_change
from harness.stats.estimate import Estimate

_FINGERPRINT_DIGITS = 12


def reason_text(reason: Reason) -> str:
    """A clause in one line, without a full stop."""
    return one_line(_text(reason)).rstrip(".")


def _text(reason: Reason) -> str:
    if isinstance(reason, Recorded):
        return reason.text
    if isinstance(reason, MetricReason):
        return _metric_text(reason)
    if isinstance(reason, FirstStepsReason):
        return _first_steps_text(reason)
    if isinstance(reason, TrainingReason):
        return _training_text(reason)
    return _benchmark_text(reason)


def _metric_text(reason: MetricReason) -> str:
    match reason:
        case reasons.LimitNotShown():
            text = "the first pairs do not show that head is within the limit"
        case reasons.ProvenWorse():
            text = "head is proven worse than base"
        case reasons.NotDecided():
            text = "neither a loss nor being within the limit is proven"
        case reasons.BeyondLimit():
            text = "probably worse: the whole interval is beyond the limit"
        case reasons.PairsLost(lost=lost, pairs=pairs):
            text = f"other work on the machine disturbed {lost} of {pairs} pairs"
        case reasons.MachineChanged():
            text = "the control computation shows that the machine was not equally fast for both"
        case reasons.ImplausibleSpeedup(saved=saved, max_speedup=most):
            text = f"head saves {percent(saved)} of the step time, and max_speedup is {percent(most)}"
        case reasons.TooFewPairs(needed=needed, made=made, pair_seconds=seconds):
            text = f"{made} of at least {needed} pairs of about {seconds:.0f} s"
        case _:
            assert_never(reason)
    return text


def _first_steps_text(reason: FirstStepsReason) -> str:
    match reason:
        case reasons.OtherPrecisions(base=base, head=head):
            text = f"head runs in {_listed(head)}, base in {_listed(base)}"
        case reasons.OtherData(base=base, head=head):
            digits = _FINGERPRINT_DIGITS
            text = f"head reads data with sha256 {head[:digits]}…, base with sha256 {base[:digits]}…"
        case reasons.OtherLossCount(precision=precision):
            text = f"in {precision} a training step returns another number of losses in head than in base"
        case reasons.LossDiffers(precision=precision, step=step, base=base, head=head, deviation=deviation):
            size = "" if deviation is None else f" (relative deviation {deviation:.1e})"
            text = f"in {precision} the loss of step {step} is {_both(base, head)}{size}"
        case reasons.ScoreDiffers(score=score, steps=steps, base=base, head=head):
            text = (
                f"all losses agree, but after {steps} steps the validation {score} is {_both(base, head)}: "
                "evaluation differs"
            )
        case reasons.TaskChanged(options=options, fields=fields):
            changes = [f"{name} {new} instead of {old}" for name, (old, new) in options.items()]
            text = f"head trains another task: {_listed(changes or fields)}"
        case reasons.LossesNotFinite(precision=precision, step=step):
            text = f"in {precision} no loss is finite from step {step} on, so nothing was compared"
        case reasons.MemoryRanOut(precisions=precisions):
            text = f"memory ran out in {_listed(precisions)}, so losses in it were not compared"
        case _:
            assert_never(reason)
    return text


def _training_text(reason: TrainingReason) -> str:
    match reason:
        case reasons.TooFewEpochs(epochs=epochs, needed=needed):
            text = f"trainings of {epochs} epochs do not show the steps to a target: {needed} are needed"
        case reasons.TooFewSeeds(seeds=seeds):
            text = f"the budget was spent after {seeds} seeds, too few to compare"
        case reasons.Diverged(label="base", seed=seed):
            text = f"base diverged on seed {seed}, so there is nothing to compare head with"
        case reasons.Diverged(seed=seed):
            text = f"head diverged on seed {seed}, and base did not"
        case reasons.ScoreLost(measure=measure, lost=lost, limit=limit):
            text = f"{measure} lost {_share(lost)}, limit {100 * limit:g} % ({lost.n} seeds)"
        case reasons.ExtraSteps(extra=extra, limit=limit):
            text = f"steps to the target {_change(extra)}, limit {100 * limit:g} % ({extra.n} seeds)"
        case reasons.TargetMissed(missed=missed, seeds=seeds):
            text = f"head did not reach the target on {missed} of {seeds} seeds"
        case reasons.TargetAtFirstScore(label=label, reached=reached, seeds=seeds):
            text = f"{label} had reached the target by its first score on {reached} of {seeds} seeds"
        case reasons.TargetRarelyReached(seeds=seeds):
            text = f"base reached a target on {seeds} seeds only"
        case _:
            assert_never(reason)
    return text


def _benchmark_text(reason: BenchmarkReason) -> str:
    match reason:
        case reasons.Removed():
            text = "base's suite has this benchmark, head's suite does not"
        case reasons.Replaced(base=base, head=head):
            text = f"under this name base's suite has {base}, head's suite has {head}"
        case reasons.Failed(label=label, message=message):
            text = f"{label} failed: {message}"
        case reasons.FailedBesideBase(message=message):
            text = f"head failed next to base and did the same work alone: {message}"
        case reasons.BudgetSpent():
            text = "the budget was spent before the first pairs were made"
        case reasons.ProcessTooLong(seconds=seconds, limit_seconds=limit, turns=turns):
            text = f"a process would take about {seconds:.0f} s for {turns} turns, more than {limit:.0f} s"
        case reasons.NoWorkers(message=message) | reasons.NotComparable(message=message):
            text = message
        case reasons.HarnessFault(message=message):
            text = f"an error of the harness: {message}"
        case _:
            assert_never(reason)
    return text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _both(base: float | None, head: float | None) -> str:
    return f"{_value(head)} in head, {_value(base)} in base"


def _value(value: float | None) -> str:
    return "not finite" if value is None else f"{value}"


def _change(extra: Estimate) -> str:
    low, high = (None if end is None else 1 + end for end in (extra.low, extra.high))
    return percent_change(Estimate(1 + extra.value, low, high, extra.n))


def _share(lost: Estimate) -> str:
    return estimate(lost.scaled(100), 2, "%")
