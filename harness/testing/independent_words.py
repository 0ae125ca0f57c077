"""The comparison of timed work with the harness's own program, in words."""

from harness.testing.independent_work import Independent, IndependentGap

_GAPS: dict[IndependentGap, str] = {
    "dropout": "the task uses dropout",
    "not covered": "the harness's program does not cover the task",
    "program failed": "a process failed",
}


def independent_difference(found: Independent) -> str:
    """What is not as the harness's own program computes it."""
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


def compared_with_numpy(found: Independent) -> str:
    """What was compared, or why nothing was."""
    if found.gap is not None:
        detail = f" ({found.detail})" if found.detail else ""
        return f"not compared with NumPy: {_GAPS[found.gap]}{detail}"
    parts = [f"the first {found.steps} losses"]
    if found.later_steps:
        parts.append(f"{found.later_steps} later gradients")
    if found.scored:
        parts.append("the test scores")
    return f"equal in NumPy: {', '.join(parts)}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"
