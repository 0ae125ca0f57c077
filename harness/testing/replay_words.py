"""The outcome of a verification of timed work in words."""

from harness.testing.independent_words import compared_with_numpy, independent_difference
from harness.testing.replay import Gap, Span, Verification

_GAPS: dict[Gap, str] = {
    "no training state": "its backend cannot hand out the training state (Program.training_state)",
    "program failed": "the second program failed",
    "rounding": "rounding separated the two programs within a few steps",
    "not repeatable": "it differed from its recomputation once, and not when it was recomputed again",
    "too short": "the training was too short",
}


def difference(found: Verification) -> str:
    """What was not as reported."""
    if found.independent is not None and found.independent.differs:
        return independent_difference(found.independent)
    deviation = found.deviation
    if deviation is None:
        return _weights_difference(found.spans[-1])
    return (
        f"the timed work differs from its recomputation: train() reported a loss of "
        f"{_number(deviation.reported)} at step {deviation.step}, but a second program that goes on from the "
        f"same weights in shorter calls gets {_number(deviation.recomputed)}. A step must depend neither on "
        "the number of steps in its call nor on what the program did before"
    )


def _weights_difference(span: Span) -> str:
    first, last, apart = span.first_step, span.first_step + span.steps - 1, span.weights_apart or 0.0
    return (
        f"the timed work differs from its recomputation: steps {first} to {last} moved the weights elsewhere "
        f"than in a second program that goes on from the same weights in shorter calls ({apart:.0%} of the "
        "way differs), although the losses are about equal. A step must depend neither on the number of "
        "steps in its call nor on what the program did before"
    )


def verified_work(found: Verification) -> str:
    """One line about what was verified, or why nothing was."""
    if found.outcome == "differs":
        return difference(found)
    if found.outcome == "not verified":
        detail = f": {found.detail}" if found.detail else ""
        return f"not verified: {_GAPS[found.gap or 'too short']}{detail}"
    compared = sorted((span for span in found.spans if span.compared_steps), key=lambda span: span.first_step)
    steps = ", ".join(map(_compared_steps, compared))
    worst = max((span.worst for span in found.spans), default=0.0)
    by = _VERIFIERS[found.verifier or "second program"]
    repeated = f"steps {steps} recomputed by {by}; largest relative deviation of a loss {worst:.1e}"
    return repeated if found.independent is None else f"{repeated}; {compared_with_numpy(found.independent)}"


def _compared_steps(span: Span) -> str:
    last = span.first_step + span.compared_steps - 1
    return f"{span.first_step} to {last}" if span.compared_steps > 1 else f"{last}"


_VERIFIERS = {
    "other process": "a program in another process",
    "second program": "a second program",
    "same program": "the same program from its earlier state",
}


def _number(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.6g}"
