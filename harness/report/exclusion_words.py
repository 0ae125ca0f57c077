"""Runs that were left out or not compared, as sentences that state the reason."""

from harness.analysis.conditions import Difference, evaluation_text
from harness.analysis.grouping import DifferentWork, KeptApart, LeftOut, NoPartner, NotCertified
from harness.runs.record import Evaluation

_NAMES = {
    "version": "task version",
    "dataset": "data set",
    "max_steps": "step limit",
    "evaluation": "scores",
    "variables": "environment variables",
}
#: Values that mean nothing to a reader; the name alone is stated.
_WITHOUT_VALUES = {"description": "task options or description", "fingerprint": "bytes of the data set"}


def left_out_sentence(left_out: LeftOut) -> str:
    """Which runs are not used, and why."""
    reasons = {
        "superseded": "superseded by newer runs with the same seeds",
        "running": "still running",
        "lost": "lost: the harness was killed",
    }
    reason = reasons.get(left_out.reason, left_out.reason)
    message = f": {left_out.message}" if left_out.message not in {"", left_out.reason} else ""
    return f"{_runs(left_out.runs)} of {left_out.task} on {left_out.configuration}: {reason}{message}"


def kept_apart_sentence(apart: KeptApart) -> str:
    """Which runs are not compared, and the conditions that separate them from others."""
    if isinstance(apart, NotCertified):
        subject = ", ".join(apart.configurations)
        reason = "; ".join(apart.reasons) or "no certificate was requested"
        return f"{subject} on {apart.title} ({_runs(apart.runs)}): not certified: {reason}"
    if isinstance(apart, DifferentWork):
        return f"{apart.title} ({_runs(apart.runs)}): {difference_of_work(apart)}"
    differences = ", ".join(_difference(difference) for difference in apart.differences)
    subject = f"{apart.configuration} on {apart.title} ({_runs(apart.runs)})"
    if isinstance(apart, NoPartner):
        return f"{subject}: alone under these conditions; the nearest runs differ in {differences}"
    nearest = f"the nearest differ in {differences}" if differences else "this version has none"
    return f"{apart.remedy}, {subject}: no {apart.reference} runs under these conditions; {nearest}"


def _difference(difference: Difference) -> str:
    """``threads (1, not 2)``."""
    if difference.name in _WITHOUT_VALUES:
        return _WITHOUT_VALUES[difference.name]
    name = _NAMES.get(difference.name, difference.name)
    return f"{name} ({_value(difference.ours)}, not {_value(difference.theirs)})"


def _value(value: object) -> str:
    if isinstance(value, Evaluation):
        return evaluation_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def difference_of_work(different: DifferentWork) -> str:
    """Which configurations do different work, and the first step that shows it."""
    (first, second), (ours, theirs) = different.configurations, different.losses
    return (
        f"{first} and {second} do different work: with seed {different.seed}, the loss of step "
        f"{different.step} is {_loss(ours)} and {_loss(theirs)}"
    )


def _loss(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.6g}"


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"
