"""The findings of a set of runs, by task, which can be rendered in any form."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from harness.core.runs.selection import Selection, no_garbage_collection
from harness.core.shell.features import records
from harness.learning.runs.axes import BACKEND, parse_axes
from harness.learning.runs.comparison import Comparison, compare, compare_settings
from harness.learning.runs.grouping import (
    Arranged,
    RunGroup,
    Variation,
    arranged,
    arranged_along,
    grouped,
    relabelled,
)
from harness.learning.runs.kept_apart import KeptApart, kept_apart
from harness.learning.runs.overfit import GapDifference, Overfitting, gap_differences, overfitting
from harness.learning.runs.rows import LeftOut, rows_of
from harness.learning.runs.run_curves import Run
from harness.learning.runs.sections import AddSections, ReportSection, joined, sections_from
from harness.timing.duel.record import DUELS, DuelRecord


class GroupFindings(NamedTuple):
    """One group of comparable runs: the comparison of its configurations, and their overfitting."""

    comparison: Comparison
    overfittings: list[Overfitting]
    gaps: list[GapDifference]


@dataclass(frozen=True, slots=True)
class TaskFindings:
    """Everything about one task; the group with the most configurations and runs first."""

    task: str
    groups: list[GroupFindings] = field(default_factory=list)
    sections: list[ReportSection] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    kept_apart: list[KeptApart] = field(default_factory=list)
    variations: list[Variation] = field(default_factory=list)


@dataclass(frozen=True)
class Findings:
    """What was compared, what could not be, and messages about files that could not be read."""

    groups: list[GroupFindings]
    sections: Sequence[ReportSection]
    """What other subjects add, such as the studies of the folder."""
    left_out: list[LeftOut]
    kept_apart: list[KeptApart]
    unreadable: list[str] = field(default_factory=list)
    results: Path | None = None
    """The folder of the records, where a duel of the same configurations belongs; None for the default."""
    variations: list[Variation] = field(default_factory=list)
    """Where several axes vary and none is chosen."""

    @cached_property
    def runs(self) -> list[Run]:
        """Every run that was used, once."""
        rows = [row for group in self.groups for row in group.comparison.group.configurations]
        rows += [row for section in self.sections for _, row in section.configurations]
        return list({run.record.id: run for row in rows for run in row.runs}.values())

    def by_task(self, most_groups: int | None = None) -> list[TaskFindings]:
        """Return the findings of each task, those with groups first; at most ``most_groups`` groups."""
        tasks: dict[str, TaskFindings] = {}

        def of(task: str) -> TaskFindings:
            return tasks.setdefault(task, TaskFindings(task))

        for group in self.groups[:most_groups]:
            of(group.comparison.group.conditions.task).groups.append(group)
        for section in self.sections:
            of(section.task).sections.append(section)
        for name in ("left_out", "kept_apart", "variations"):
            for each in getattr(self, name):
                getattr(of(each.task), name).append(each)
        return list(tasks.values())


def find(
    runs: Iterable[Run],
    added: Sequence[AddSections] = (),
    margin: float | None = None,
    target: float | None = None,
    duels: Sequence[DuelRecord] = (),
    by: str | None = None,
    *,
    fractions: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Findings:
    """Compare the runs and read their curves; ``margin``, ``target`` and ``duels`` as in :func:`compare`.

    With ``fractions``, ``margin`` and ``target`` of an accuracy are from 0 to 1 instead of in points.
    ``by`` names the axes along which runs are compared, see :mod:`harness.learning.runs.axes`; None: the one
    that varies, if only one does, and otherwise the backend. ``added`` make further sections; runs that are
    their own appear there alone, unless they compare several configurations. With ``by`` there are no
    further sections. ``labels`` replace names of configurations and tasks.
    """
    table = rows_of(runs)
    groups = grouped(table.rows)
    further = joined([add(groups) for add in added])
    if by is None:
        own = further.own_groups
        chosen = arranged(group for group in groups if group.conditions not in own)
        apart = [*further.kept_apart, *kept_apart([*chosen.groups, *own.values()], own)]
    else:
        chosen = _along(groups, by)
        apart = [*kept_apart(chosen.groups)]
    if labels:
        chosen = chosen._replace(groups=relabelled(chosen.groups, labels))
    limits = (margin, target)
    compared = [_group_findings(group, limits, duels, fractions=fractions) for group in chosen.groups]
    return Findings(
        compared,
        further.sections if by is None else [],
        [*table.left_out, *chosen.left_out],
        apart,
        [*further.unreadable],
        variations=chosen.open,
    )


def _along(groups: Sequence[RunGroup], by: str) -> Arranged:
    axes = parse_axes(by, [group.record for group in groups])
    return Arranged(list(groups), [], []) if axes == (BACKEND,) else arranged_along(groups, axes)


def read_findings(
    arguments: Sequence[str],
    results: Path,
    margin: float | None = None,
    target: float | None = None,
    by: str | None = None,
    *,
    fractions: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Findings:
    """Find what the selected records show, with the studies and duels of their folders; see :func:`find`."""
    selection = Selection(arguments, results, records())
    folders = selection.folders
    duels, unreadable_duels = records().read_all(
        DUELS, [path for each in folders for path in DUELS.paths(each)]
    )
    # The matrix products are small: BLAS threads would wait for one another longer than they work.
    with no_garbage_collection(), threadpool_limits(1, user_api="blas"):
        runs = (Run.of(record) for record in selection)
        findings = find(
            runs,
            sections_from(folders),
            margin,
            target,
            duels,
            by,
            fractions=fractions,
            labels=labels,
        )
    unreadable = [*selection.unreadable, *findings.unreadable, *unreadable_duels]
    return dataclasses.replace(findings, unreadable=unreadable, results=results)


def _group_findings(
    group: RunGroup,
    limits: tuple[float | None, float | None],
    duels: Sequence[DuelRecord],
    *,
    fractions: bool,
) -> GroupFindings:
    """Analyse a group; ``limits`` are margin and target in the measure's unit, or ``fractions``."""
    factor = group.measure.factor if fractions else 1.0
    margin, target = (value and value * factor for value in limits)
    read = [overfitting(group, configuration) for configuration in group.configurations]
    if group.is_of_settings:
        comparison = compare_settings(group, margin, target)
    else:
        comparison = compare(group, margin, target, () if group.axes else duels)
    return GroupFindings(
        comparison,
        [overfit for overfit in read if overfit is not None],
        gap_differences(group, margin),
    )
