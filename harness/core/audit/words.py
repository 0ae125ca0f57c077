"""Findings of the audit, in words."""

from collections.abc import Sequence

from harness.core.audit import budgets
from harness.core.audit.findings import (
    Clock,
    Fault,
    Gap,
    Independent,
    IndependentGap,
    ScoreDeviation,
    Span,
    Verification,
    Verifier,
)
from harness.core.documents.numbers import percent

_GAPS: dict[Gap, str] = {
    "no training state": "its backend cannot hand out the training state (Program.training_state)",
    "program failed": "the second program failed",
    "rounding": "rounding separated the two programs before the end of a segment",
    "too short": "the training was too short",
}
_NUMPY_GAPS: dict[IndependentGap, str] = {
    "dropout": "the task uses dropout",
    "noise": "each framework draws the noise of DP-SGD for itself",
    "not covered": "the harness's program does not cover the task",
    "program failed": "a process failed",
}
_VERIFIERS: dict[Verifier, str] = {
    "other process": "a program in another process",
    "second program": "a second program",
    "same program": "the same program from its earlier state",
}
#: Shares of wrong work of which the chance of a repetition is stated.
_SHARES = (0.01, 0.1, 1.0)


def clock_fault(clock: Clock) -> str:
    """Say why a clock cannot be trusted or confirmed; empty for a confirmed clock."""
    match clock.fault:
        case "missing time":
            evidence = (
                f"it reported {clock.reported_seconds:.3g} s for {clock.calls:,} calls that took "
                f"{clock.observed_seconds:.3g} s by the clock of another process"
            )
            if clock.delay_seconds > budgets.MISSING_SECONDS:
                evidence += f", of which {clock.delay_seconds:.3g} s may be delays by other programs"
        case "CPU time":
            evidence = (
                f"it reported {clock.reported_seconds:.3g} s on {_cpus(clock.cpus)} and used "
                f"{clock.cpu_seconds or 0:.3g} s of CPU time, so part of its work was not timed"
            )
        case "known order":
            evidence = _known_order(clock)
        case "impossible time":
            evidence = (
                f"it reported {clock.reported_seconds:.3g} s within {clock.observed_seconds:.3g} s by the "
                "clock of another process"
            )
        case "missing value":
            evidence = (
                f"it reported {clock.reported_seconds:.3g} s for {clock.calls:,} blocks of calls, and did "
                "not return the value of the last call"
            )
        case None:
            return ""
    if clock.outcome == "dishonest":
        return f"its clock cannot be trusted: {evidence}"
    return f"clock not confirmed: {evidence}; other programs used {clock.others_share:.0%} of its CPUs"


def _known_order(clock: Clock) -> str:
    """State how a run's order compares with a new order, and the consequence."""
    of_cpu = "" if clock.known_cpu_share is None else f" and {clock.known_cpu_share:.0%} of the CPU time"
    evidence = (
        f"a step took {clock.known_share or 0:.0%} of the time{of_cpu} of one whose samples were drawn after "
        "the training"
    )
    if clock.turns is not None:
        evidence += (
            f"; repeated by new processes in turn, the run's order was far cheaper than a new one in "
            f"{clock.turns.cheaper} of {clock.turns.made} calls"
        )
    if clock.outcome == "dishonest":
        evidence += ", so results were known before they were asked for"
    return evidence


#: What other programs may explain of a clock that is not confirmed.
_EXPLAINED: dict[Fault, str] = {
    "missing time": "time that the worker did not report",
    "CPU time": "CPU time beyond what the worker reported",
    "known order": "steps that took longer in a new order",
    "impossible time": "times that cannot have passed",
    "missing value": "values that were not returned",
}


def unconfirmed_clocks(clocks: Sequence[Clock]) -> str:
    """State the CPU time of other programs while these trainings ran, and what it may explain."""
    most = max(clock.others_share for clock in clocks)
    explained = dict.fromkeys(_EXPLAINED[clock.fault] for clock in clocks if clock.fault is not None)
    return f"other programs used {percent(most)} of the CPUs, which may explain {' and '.join(explained)}"


def _cpus(count: int) -> str:
    return f"{count} CPU{'s' * (count != 1)}"


def clock_sums(clock: Clock) -> str:
    """State the figures of a clock, or their fault, in one line."""
    if clock.fault is not None:
        return clock_fault(clock)
    parts = [
        f"confirmed: {clock.reported_seconds:.3g} s reported",
        f"{clock.observed_seconds:.3g} s by the clock of another process",
    ]
    if clock.cpu_seconds is not None:
        parts.append(f"{clock.cpu_seconds:.3g} s of CPU time on {_cpus(clock.cpus)}")
    if clock.known_share is not None:
        parts.append(f"a step took {clock.known_share:.2f} of the time of one in a new order")
    return ", ".join(parts)


def work_fault(found: Verification) -> str:
    """State which work was not as reported."""
    if found.independent is not None and found.independent.differs:
        return _numpy_fault(found.independent)
    advice = (
        "A step must depend neither on the number of steps in its call nor on what the program did before"
    )
    if found.deviation is not None:
        return (
            f"the timed work differs from its recomputation: train() reported a loss of "
            f"{_number(found.deviation.reported)} at step {found.deviation.step}, but a second program that "
            f"goes on from the same weights in shorter calls gets {_number(found.deviation.recomputed)}. "
            f"{advice}"
        )
    span = found.spans[-1]
    return (
        f"the timed work differs from its recomputation: steps {span.first_step} to "
        f"{span.first_step + span.steps - 1} moved the weights elsewhere than in a second program that goes "
        f"on from the same weights in shorter calls ({span.weights_apart or 0.0:.1%} of the way differs), "
        f"although the losses are about equal. {advice}"
    )


def _numpy_fault(found: Independent) -> str:
    if found.score is not None:
        return _score_fault(found.score)
    if found.deviation is not None:
        return (
            f"the timed work differs from its recomputation in NumPy: train() reported a loss of "
            f"{_number(found.deviation.reported)} at step {found.deviation.step}, and the harness's own "
            f"program gets {_number(found.deviation.recomputed)} from the same weights and batches"
        )
    return (
        f"the weights do not follow the gradient: in step {found.unfollowed_step} only "
        f"{found.agreement or 0:.0%} of the gradient that NumPy computes has the sign of what the step added "
        "to the weights. A step must make one update with the gradient of its batch"
    )


def _score_fault(score: ScoreDeviation) -> str:
    ours, theirs = _number(score.reported), _number(score.recomputed)
    if score.row is None:
        return (
            f"the scores{_after(score)} are not those of the samples: {score.split} {score.name} "
            f"was reported as {ours}, and the mean over its samples is {theirs}"
        )
    return (
        f"the scores are not those of the weights: the {score.name} of {score.split} sample {score.row} was "
        f"reported as {ours}, and the harness's own program gets {theirs} from the weights{_after(score)}"
    )


def _after(score: ScoreDeviation) -> str:
    return "" if score.epoch is None else f" after epoch {score.epoch}"


def verified_work(found: Verification) -> str:
    """Describe in one line the verification, or the reason why nothing was verified."""
    if found.outcome == "differs":
        return work_fault(found)
    if found.outcome == "not verified":
        detail = f": {found.detail}" if found.detail else ""
        compared = f"; only {_recomputed(found)} could be compared" if found.gap == "rounding" else ""
        return f"not verified: {_GAPS[found.gap or 'too short']}{detail}{compared}"
    worst = max((span.worst for span in found.spans), default=0.0)
    by = _VERIFIERS[found.verifier or "second program"]
    parts = [f"{_recomputed(found)} recomputed by {by}; largest relative deviation of a loss {worst:.1e}"]
    if any(span.whole and span.weights_apart is None for span in found.spans):
        parts.append("rounding leads the weights as far apart as the training does, so only losses count")
    if found.draws:
        chances = ", ".join(f"{found.chance(share):.0%}" for share in _SHARES)
        shares = ", ".join(f"{share:.0%}" for share in _SHARES)
        parts.append(
            f"of {found.segments} segments {found.draws} was drawn: wrong work in {shares} of the training "
            f"is met with a probability of {chances}"
        )
    if found.independent is not None:
        parts.append(compared_with_numpy(found.independent))
    return "; ".join(parts)


def _recomputed(found: Verification) -> str:
    """Name the steps that were compared, with their number where a segment's end was not compared."""
    spans = sorted(found.spans, key=lambda span: span.first_step)
    return "steps " + ", ".join(map(_compared_steps, spans))


def _compared_steps(span: Span) -> str:
    last = span.first_step + span.compared_steps - 1
    if not span.compared_steps:
        return f"none from {span.first_step} on"
    steps = f"{span.first_step} to {last}" if span.compared_steps > 1 else f"{last}"
    is_partial = span.compared_steps < span.steps
    return steps + f" ({span.compared_steps:,} of {span.steps:,})" * is_partial


def compared_with_numpy(found: Independent) -> str:
    """State which work was compared, or why none was compared."""
    parts = [f"the first {found.steps} losses"] * bool(found.steps or found.gap is None)
    parts += [f"{found.later_steps} later gradients"] * bool(found.later_steps)
    parts += [f"the scores of {found.scored_rows} samples{_epochs(found)}"] * bool(found.scored_rows)
    equal = f"equal in NumPy: {', '.join(parts)}" if parts else ""
    if found.gap is None:
        return equal
    detail = f" ({found.detail})" if found.detail else ""
    gap = f"steps not compared with NumPy: {_NUMPY_GAPS[found.gap]}{detail}"
    return "; ".join(filter(None, (gap, equal)))


def curves_mark(found: Verification | None) -> str:
    """Return the mark of verified curves with the recomputed epochs; empty for the last epoch alone."""
    independent = found.independent if found is not None and found.outcome == "verified" else None
    if independent is None or len(independent.scored_epochs) < 2:  # noqa: PLR2004
        return ""
    return f"✓ recomputed in NumPy{_epochs(independent)}"


def _epochs(found: Independent) -> str:
    epochs = ", ".join(f"{epoch:,}" for epoch in found.scored_epochs)
    return f" after epoch{'s' * (len(found.scored_epochs) > 1)} {epochs}" if epochs else ""


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"
