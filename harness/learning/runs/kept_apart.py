"""Runs that were not compared: the conditions that separate them, or the work that differs, as sentences."""

import itertools
from collections.abc import Container, Sequence
from typing import NamedTuple

from harness.core.audit.comparison import first_difference
from harness.core.certify.dropout import uses_dropout
from harness.core.documents.numbers import counted, first_of, listed
from harness.core.runs.fields import text_on_axis
from harness.core.runs.own_models import is_alone, model_text, proof_commands
from harness.core.runs.record import Evaluation, Record
from harness.core.runs.words import evaluation_text
from harness.learning.runs.axes import BACKEND, has_equal_losses
from harness.learning.runs.conditions import Conditions, Difference
from harness.learning.runs.grouping import RunGroup, Variation
from harness.learning.runs.rows import LeftOut
from harness.learning.runs.run_curves import Run
from harness.spec.backend import Precision


class DifferentWork(NamedTuple):
    """Two configurations that do different work: the first step whose loss is not the same in both."""

    configurations: tuple[str, str]
    seed: int
    step: int
    losses: tuple[float | None, float | None]

    def __str__(self) -> str:
        (first, second), (ours, theirs) = self.configurations, self.losses
        return (
            f"{first} and {second} do different work: with seed {self.seed}, the loss of step {self.step} "
            f"is {_loss(ours)} and {_loss(theirs)}"
        )


def _loss(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.6g}"


def different_work(group: RunGroup) -> DifferentWork | None:
    """Find the first pair of configurations of a group whose runs with one seed begin with different losses.

    All of them start from the same weights and see the same batches, so the losses are equal until rounding
    separates the trainings. Tasks with dropout or DP-SGD are left out: frameworks draw for themselves. So are
    configurations that differ along axes that change the losses, such as the learning rate.
    """
    first, *others = group.configurations
    task = first.record.task.description
    draws_itself = uses_dropout(task) or task.privacy is not None
    if not others or not has_equal_losses(group.axes) or draws_itself:
        return None
    ours = first.by_seed(_with_losses)
    for other in others:
        for seed, theirs in other.by_seed(_with_losses).items():
            if seed in ours and (step := _differing_step(ours[seed], theirs)) is not None:
                losses = ours[seed].first_losses[step][-1], theirs.first_losses[step][-1]
                return DifferentWork((first.name, other.name), seed, step + 1, losses)
    return None


def _with_losses(run: Run) -> Record | None:
    return run.record if run.record.first_losses else None


def _differing_step(ours: Record, theirs: Record) -> int | None:
    count = min(len(ours.first_losses), len(theirs.first_losses))
    precision: Precision = ours.configuration.precision
    return first_difference(ours.first_losses[:count], theirs.first_losses[:count], precision)


#: The number of largest groups among which the nearest is searched.
_SEARCHED_GROUPS = 100


class KeptApart(NamedTuple):
    """Runs of ``configurations`` that are not compared, the reason, and how the nearest runs differ."""

    task: str
    title: str
    configurations: tuple[str, ...]
    runs: int
    reason: str
    differences: tuple[Difference, ...] = ()


def kept_apart(groups: Sequence[RunGroup], in_sections: Container[Conditions] = ()) -> list[KeptApart]:
    """Return groups that are not certified or do different work, and configurations alone in their group.

    Configurations under the conditions ``in_sections`` are compared there, and need no partner here.
    """
    apart = _unproved(groups)
    for group in groups:
        names = tuple(configuration.name for configuration in group.configurations)
        facts = group.conditions.task, group.title, names, len(group.records)
        if not group.comparable:
            known = {record.certificate.reason for record in group.records if record.certificate}
            reasons = "; ".join(sorted(filter(None, known))) or "no certificate was requested"
            apart.append(KeptApart(*facts, f"not certified: {reasons}"))
        elif (different := different_work(group)) is not None:
            apart.append(KeptApart(*facts, str(different)))
        elif (
            len(names) == 1
            and group.conditions not in in_sections
            and (differences := _from_nearest(group, groups))
        ):
            apart.append(KeptApart(*facts, "alone under these conditions", tuple(differences)))
    return apart


def _unproved(groups: Sequence[RunGroup]) -> list[KeptApart]:
    """Return own models of several frameworks, with the command that makes them comparable."""
    records = [record for group in groups for record in group.records if is_alone(record)]
    first = {model_text(record): record for record in records}
    apart = []
    for names, command in proof_commands(records).items():
        record = first[names[0]]
        reason = f"not ranked, because nothing proves that they are the same model. Prove it: {command}"
        runs = sum(model_text(each) in names for each in records)
        apart.append(KeptApart(record.task.name, record.dataset.name, names, runs, reason))
    return apart


def _from_nearest(group: RunGroup, groups: Sequence[RunGroup]) -> list[Difference]:
    """Return how the nearest group of the task with another configuration differs; empty without one."""
    names = {configuration.name for configuration in group.configurations}
    others = [
        other.conditions
        for other in itertools.islice(groups, _SEARCHED_GROUPS)
        if other.conditions.task == group.conditions.task
        and other is not group
        and any(configuration.name not in names for configuration in other.configurations)
    ]
    return min(map(group.conditions.differences, others), key=len, default=[])


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
    subject = f"{', '.join(apart.configurations)} on {apart.title} ({counted(apart.runs, 'run')})"
    nearest = ", ".join(_difference(difference) for difference in apart.differences)
    return f"{subject}: {apart.reason}" + (f"; the nearest runs differ in {nearest}" if nearest else "")


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
