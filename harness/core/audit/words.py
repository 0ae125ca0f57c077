"""Findings of the audit, in words."""

from harness.core.audit.findings import Gap, Span, Verification

_GAPS: dict[Gap, str] = {
    "no training state": "its backend cannot hand out the training state (Program.training_state)",
    "program failed": "the second program failed",
    "rounding": "rounding separated the two programs before the end of a segment",
    "too short": "the training was too short",
}


def work_fault(found: Verification) -> str:
    """State which work was not as reported."""
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
    span = found.span
    steps = "its steps" if span is None else _steps(span, span.steps)
    apart = 0.0 if span is None else span.weights_apart or 0.0
    return (
        f"the timed work differs from its recomputation: {steps} moved the weights elsewhere than in a "
        f"second program that goes on from the same weights in shorter calls ({apart:.1%} of the way "
        f"differs), although the losses are about equal. {advice}"
    )


def verified_work(found: Verification) -> str:
    """Describe in one line the verification, or the reason why nothing was verified."""
    if found.outcome == "differs":
        return work_fault(found)
    if found.outcome == "not verified":
        detail = f": {found.detail}" if found.detail else ""
        return f"not verified: {_GAPS[found.gap or 'too short']}{detail}"
    span = found.span
    if span is None:  # a record of an earlier version
        return "verified"
    partial = f" ({span.compared_steps:,} of {span.steps:,})" * (span.compared_steps < span.steps)
    worst = f"largest relative deviation of a loss {span.worst:.1e}"
    parts = [
        f"{_steps(span, span.compared_steps)}{partial} recomputed by a program in another process; {worst}"
    ]
    if span.whole and span.weights_apart is None:
        parts.append("rounding leads the weights as far apart as the training does, so only losses count")
    if span.whole:
        parts.append(f"drawn from {found.segments:,} segments")
    return "; ".join(parts)


def _steps(span: Span, count: int) -> str:
    last = span.first_step + count - 1
    return f"steps {span.first_step:,} to {last:,}" if count > 1 else f"step {last:,}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"
