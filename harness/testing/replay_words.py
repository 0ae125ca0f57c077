"""The outcome of a verification of timed work in words."""

from harness.testing.replay import Gap, Independent, Verification

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
        return _independent_difference(found.independent)
    assert found.deviation is not None  # noqa: S101  of this outcome
    deviation = found.deviation
    return (
        f"the timed work differs from its recomputation: train() reported a loss of "
        f"{_number(deviation.reported)} at step {deviation.step}, but a second program that goes on from the "
        f"same weights in shorter calls gets {_number(deviation.recomputed)}. A step must depend neither on "
        "the number of steps in its call nor on what the program did before"
    )


def _independent_difference(found: Independent) -> str:
    if found.score is not None:
        score = found.score
        return (
            f"the scores are not those of the weights: test {score.name} was reported as "
            f"{_number(score.reported)}, and the harness's own program gets {_number(score.recomputed)} from "
            "the last weights"
        )
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


def verified_work(found: Verification) -> str:
    """One line about what was verified, or why nothing was."""
    if found.outcome == "differs":
        return difference(found)
    if found.outcome == "not verified":
        detail = f": {found.detail}" if found.detail else ""
        return f"not verified: {_GAPS[found.gap or 'too short']}{detail}"
    steps = ", ".join(
        f"{span.first_step} to {span.first_step + span.compared_steps - 1}"
        for span in sorted(found.spans, key=lambda span: span.first_step)
        if span.compared_steps
    )
    worst = max(span.worst for span in found.spans)
    by = _VERIFIERS[found.verifier or "second program"]
    return f"steps {steps} recomputed by {by}; largest relative deviation of a loss {worst:.1e}"


_VERIFIERS = {
    "other process": "a program in another process",
    "second program": "a second program",
    "same program": "the same program from its earlier state",
}


def _number(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.6g}"
