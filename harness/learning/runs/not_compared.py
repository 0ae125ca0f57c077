"""Runs that were not compared, as sentences that state the reason and what to choose."""

from harness.core.documents.numbers import counted, first_of, listed
from harness.core.runs.fields import text_on_axis
from harness.core.runs.record import Evaluation
from harness.core.runs.words import evaluation_text
from harness.learning.runs.axes import BACKEND
from harness.learning.runs.conditions import Difference
from harness.learning.runs.grouping import DifferentWork, KeptApart, LeftOut, NoPartner, NotCertified
from harness.learning.runs.variation import Variation

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
    """Name runs that are not used, and the reason."""
    reasons = {
        "superseded": "superseded by newer runs with the same seeds",
        "trial": "trials of studies, which only choose settings",
        "running": "still running",
        "lost": "lost: the harness was killed",
    }
    reason = reasons.get(left_out.reason, left_out.reason)
    message = f": {left_out.message}" if left_out.message not in {"", left_out.reason} else ""
    return (
        f"{counted(left_out.runs, 'run')} of {left_out.task} on {left_out.configuration}: {reason}{message}"
    )


def kept_apart_sentence(apart: KeptApart) -> str:
    """Name runs that are not compared, and the conditions that separate them from others."""
    if isinstance(apart, NotCertified):
        subject = ", ".join(apart.configurations)
        reason = "; ".join(apart.reasons) or "no certificate was requested"
        return f"{subject} on {apart.title} ({counted(apart.runs, 'run')}): not certified: {reason}"
    if isinstance(apart, DifferentWork):
        return f"{apart.title} ({counted(apart.runs, 'run')}): {difference_of_work(apart)}"
    differences = ", ".join(_difference(difference) for difference in apart.differences)
    subject = f"{apart.configuration} on {apart.title} ({counted(apart.runs, 'run')})"
    if isinstance(apart, NoPartner):
        return f"{subject}: alone under these conditions; the nearest runs differ in {differences}"
    nearest = f"the nearest differ in {differences}" if differences else "this version has none"
    return f"{apart.remedy}, {subject}: no {apart.reference} runs under these conditions; {nearest}"


def _difference(difference: Difference) -> str:
    """Write ``threads (1, not 2)``."""
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
    """Name two configurations that do different work, and the first step that shows it."""
    (first, second), (ours, theirs) = different.configurations, different.losses
    return (
        f"{first} and {second} do different work: with seed {different.seed}, the loss of step "
        f"{different.step} is {_loss(ours)} and {_loss(theirs)}"
    )


def _loss(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.6g}"


#: Values of an axis that are named, and axes that are offered together.
_MOST_VALUES = 4
_MOST_TOGETHER = 3


def variation_sentence(variation: Variation) -> str:
    """Write ``Runs of mlp differ in optimizer (adam, sgd) and threads (1, 2). …`` with the choices."""
    axes = list(variation.values)
    differences = []
    for axis, values in variation.values.items():
        named = first_of([text_on_axis(axis, value) for value in values], _MOST_VALUES)
        differences.append(f"{axis} ({named})")
    settings = [axis for axis in axes if axis != BACKEND]
    choices = [f"--by {axis}" for axis in settings]
    if 1 < len(settings) <= _MOST_TOGETHER:
        choices.append(f"--by {','.join(settings)} for every combination")
    *first, last = choices
    alternatives = f"{', '.join(first)} or {last}" if first else last
    backends = "Backends are compared under equal settings. " if BACKEND in axes else ""
    return (
        f"Runs of {variation.task} on {variation.dataset} differ in {listed(differences)}. {backends}"
        f"To compare settings, add {alternatives}."
    )
