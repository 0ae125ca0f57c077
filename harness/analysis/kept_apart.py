"""Runs that are kept apart from others of their task, and the conditions that separate them."""

import itertools
from collections.abc import Container, Sequence
from typing import NamedTuple

from harness.analysis.conditions import Conditions, Difference
from harness.analysis.different_work import DifferentWork, different_work
from harness.analysis.grouping import RunGroup

#: Groups among which the nearest is looked for: the largest ones.
_SEARCHED_GROUPS = 100


class NotCertified(NamedTuple):
    """A group that is not compared because its work is not certified."""

    task: str
    title: str
    configurations: tuple[str, ...]
    runs: int
    reasons: tuple[str, ...]
    """What the certificates say; empty where none was asked for."""


class NoPartner(NamedTuple):
    """A configuration that is alone in its group, and how the nearest group with another one differs."""

    task: str
    title: str
    configuration: str
    runs: int
    differences: tuple[Difference, ...]


class NoPlainRuns(NamedTuple):
    """A remedy of a study whose runs have no runs of the reference variant under the same conditions."""

    task: str
    title: str
    configuration: str
    runs: int
    remedy: str
    reference: str
    differences: tuple[Difference, ...]
    """From the nearest runs of the reference; empty where this version has none."""


KeptApart = NotCertified | DifferentWork | NoPartner | NoPlainRuns


def kept_apart(groups: Sequence[RunGroup], in_studies: Container[Conditions] = ()) -> list[KeptApart]:
    """Groups that are not certified or do different work, and configurations alone in their group.

    Groups whose conditions are ``in_studies`` are compared there.
    """
    apart: list[KeptApart] = []
    for group in groups:
        if not group.comparable:
            apart.append(_not_certified(group))
        elif (different := different_work(group)) is not None:
            apart.append(different)
        elif (
            len(group.configurations) == 1
            and group.conditions not in in_studies
            and (differences := _from_nearest(group, groups))
        ):
            (alone,) = group.configurations
            task, runs = group.conditions.task, len(alone.runs)
            apart.append(NoPartner(task, group.title, alone.name, runs, tuple(differences)))
    return apart


def _not_certified(group: RunGroup) -> NotCertified:
    records = [run.record for configuration in group.configurations for run in configuration.runs]
    reasons = {record.certificate.reason for record in records if record.certificate}
    return NotCertified(
        task=group.conditions.task,
        title=group.title,
        configurations=tuple(configuration.name for configuration in group.configurations),
        runs=len(records),
        reasons=tuple(sorted(reason for reason in reasons if reason)),
    )


def _from_nearest(group: RunGroup, groups: Sequence[RunGroup]) -> list[Difference]:
    """How the nearest group of the task that has another configuration differs; empty without one."""
    names = {configuration.name for configuration in group.configurations}
    others = [
        other.conditions
        for other in itertools.islice(groups, _SEARCHED_GROUPS)
        if other.conditions.task == group.conditions.task
        and other is not group
        and any(configuration.name not in names for configuration in other.configurations)
    ]
    return min(map(group.conditions.differences, others), key=len, default=[])
