"""Everything that a set of runs shows, by task, ready to be rendered in any form."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from harness.analysis.comparison import Comparison, compare
from harness.analysis.conditions import Conditions
from harness.analysis.gap_differences import GapDifference, gap_differences
from harness.analysis.grouping import GroupedRuns, LeftOut, RunGroup, group_runs
from harness.analysis.kept_apart import KeptApart, kept_apart
from harness.analysis.overfit import Overfitting, overfitting
from harness.analysis.results import read_all
from harness.analysis.run_curves import Run
from harness.analysis.selection import Selection, no_garbage_collection
from harness.analysis.study import STUDIES, Study
from harness.analysis.study_effects import StudyFinding, study_findings
from harness.analysis.unpaired_remedies import unpaired_remedies
from harness.duel.files import DUELS
from harness.duel.record import DuelRecord


class GroupFindings(NamedTuple):
    """One group of comparable runs: its configurations compared, and how each of them overfits."""

    comparison: Comparison
    overfittings: list[Overfitting]
    gaps: list[GapDifference]


@dataclass(frozen=True, slots=True)
class TaskFindings:
    """Everything about one task; the group with the most configurations and runs first."""

    task: str
    groups: list[GroupFindings] = field(default_factory=list)
    studies: list[StudyFinding] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    kept_apart: list[KeptApart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, what could not be compared, and messages about the files that could not be read."""

    groups: list[GroupFindings]
    studies: list[StudyFinding]
    left_out: list[LeftOut]
    kept_apart: list[KeptApart]
    unreadable: list[str] = field(default_factory=list)
    results: Path | None = None
    """The folder of the records, where a duel of the same configurations belongs; None for the default."""

    @property
    def runs(self) -> list[Run]:
        """Every run that was used, once."""
        runs = [
            run
            for group in self.groups
            for configuration in group.comparison.group.configurations
            for run in configuration.runs
        ]
        runs += [run for study in self.studies for run in study.runs]
        return list({run.record.id: run for run in runs}.values())

    def by_task(self, most_groups: int | None = None) -> list[TaskFindings]:
        """The findings of each task, those with groups first; at most the ``most_groups`` largest groups."""
        tasks: dict[str, TaskFindings] = {}

        def of(task: str) -> TaskFindings:
            return tasks.setdefault(task, TaskFindings(task))

        for group in self.groups[:most_groups]:
            of(group.comparison.group.conditions.task).groups.append(group)
        for study in self.studies:
            of(study.group.conditions.task).studies.append(study)
        for left_out in self.left_out:
            of(left_out.task).left_out.append(left_out)
        for apart in self.kept_apart:
            of(apart.task).kept_apart.append(apart)
        return list(tasks.values())


def find(
    runs: Iterable[Run],
    studies: Sequence[Study] = (),
    margin: float | None = None,
    target: float | None = None,
    duels: Sequence[DuelRecord] = (),
) -> Findings:
    """Compare the runs and read their curves; ``margin``, ``target`` and ``duels`` as in :func:`compare`.

    Runs of a study's remedy appear with the study alone, unless they compare several configurations.
    """
    grouped = group_runs(runs)
    effects = [finding for study in studies for finding in study_findings(study, grouped.groups)]
    unpaired = [apart for study in studies for apart in unpaired_remedies(study, grouped.groups)]
    remedies = _remedies(grouped, effects)
    return Findings(
        [
            _group_findings(group, margin, target, duels)
            for group in grouped.groups
            if group.conditions not in remedies
        ],
        effects,
        grouped.left_out,
        [*unpaired, *kept_apart(grouped.groups, remedies)],
    )


def _remedies(grouped: GroupedRuns, effects: Iterable[StudyFinding]) -> set[Conditions]:
    """The conditions of groups whose only configuration appears as a remedy in a study."""
    remedies = {
        (effect.configuration.identity, effect.group.conditions.without_description, variant.description)
        for effect in effects
        for variant in effect.study.variants[1:]
        if variant.assignments
    }

    def is_remedy(group: RunGroup) -> bool:
        conditions, (first, *others) = group.conditions, group.configurations
        key = (first.identity, conditions.without_description, conditions.description)
        return not others and key in remedies

    return {group.conditions for group in grouped.groups if is_remedy(group)}


def read_findings(
    arguments: Sequence[str], results: Path, margin: float | None = None, target: float | None = None
) -> Findings:
    """The findings of the selected records, with the studies and duels of the results folder.

    Raises:
        UsageError: nothing is selected.
    """
    selection = Selection(arguments, results)
    folders = selection.folders
    studies, unreadable_studies = read_all(
        STUDIES, [path for each in folders for path in STUDIES.paths(each)]
    )
    duels, unreadable_duels = read_all(DUELS, [path for each in folders for path in DUELS.paths(each)])
    # The matrix products are small: BLAS threads would wait for one another longer than they work.
    with no_garbage_collection(), threadpool_limits(1, user_api="blas"):
        findings = find((Run.of(record) for record in selection), studies, margin, target, duels)
    unreadable = [*selection.unreadable, *unreadable_studies, *unreadable_duels]
    return dataclasses.replace(findings, unreadable=unreadable, results=results)


def _group_findings(
    group: RunGroup, margin: float | None, target: float | None, duels: Sequence[DuelRecord]
) -> GroupFindings:
    read = [overfitting(group, configuration) for configuration in group.configurations]
    return GroupFindings(
        compare(group, margin, target, duels),
        [overfit for overfit in read if overfit is not None],
        gap_differences(group, margin),
    )
