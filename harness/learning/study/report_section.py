"""Studies in a report of runs: a section for each configuration, and the runs that appear there alone."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.core.documents.document import Figure, Figures, Node, Paragraph, Picture, Table
from harness.core.shell.features import records
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.kept_apart import KeptApart
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.sections import AddedSections
from harness.learning.study.answer import study_sentence, study_table, study_title
from harness.learning.study.effects import common_conditions, study_findings
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import charts_of
from harness.learning.study.parts.tuning import edge_sentences, tuning_table
from harness.learning.study.record import STUDIES, Study


def sections(groups: Sequence[RunGroup], folders: Sequence[Path]) -> AddedSections:
    """Return the sections of the studies in these folders of results, from the groups of runs."""
    paths = [path for each in folders for path in STUDIES.paths(each)]
    studies, unreadable = records().read_all(STUDIES, paths)
    return sections_of(studies, groups)._replace(unreadable=unreadable)


def sections_of(studies: Sequence[Study], groups: Sequence[RunGroup]) -> AddedSections:
    """Return the sections of these studies, from the groups of runs."""
    findings = [finding for study in studies for finding in study_findings(study, groups)]
    unpaired = [apart for study in studies for apart in unpaired_variants(study, groups)]
    added = [StudySection(finding) for finding in findings]
    return AddedSections(added, _remedies(groups, findings), unpaired)


@dataclass(frozen=True)
class StudySection:
    """A study on one configuration, as a :class:`harness.learning.runs.sections.ReportSection`."""

    finding: StudyFinding

    @property
    def prefix(self) -> str:
        """The beginning of its ids."""
        return "study"

    @property
    def task(self) -> str:
        """The task of the study."""
        return self.finding.group.conditions.task

    @property
    def configurations(self) -> list[tuple[RunGroup, ConfigurationRuns]]:
        """The runs of each variant, with their group."""
        return [(group, runs) for _, group, runs in self.finding.treated]

    @property
    def title(self) -> str:
        """The kind of study, the configuration and the conditions."""
        return study_title(self.finding)

    @property
    def label(self) -> str:
        """The kind of study and the configuration."""
        return f"{self.finding.study.kind.name.capitalize()}: {self.finding.configuration.name}"

    @property
    def sentence(self) -> str:
        """The answer."""
        return study_sentence(self.finding)

    @property
    def table(self) -> Table:
        """The levels and the changes of every variant."""
        return study_table(self.finding)

    def nodes(self, name: str) -> list[Node]:
        """Return the answer, the charts and the numbers; names of charts begin with ``name``."""
        study = self.finding.study
        nodes: list[Node] = [
            Paragraph(self.sentence, "answer"),
            *map(Paragraph, edge_sentences(study)),
            Figures(partial(self.figures, name)),
            self.table,
        ]
        return [*nodes, tuning_table(self.finding)] if study.trials else nodes

    def figures(self, name: str) -> list[Figure | Picture]:
        """Draw the charts; their names begin with ``name``."""
        return charts_of(self.finding, name)


def _remedies(groups: Iterable[RunGroup], findings: Iterable[StudyFinding]) -> dict[Conditions, RunGroup]:
    """Return the groups whose only configuration appears as a remedy in a study, by their conditions."""
    remedies = {
        (finding.configuration.identity, common_conditions(finding.group.conditions), variant.description)
        for finding in findings
        for variant in finding.study.variants
        if variant.assignments  # runs of a variant that changes nothing may be ordinary ones
    }

    def is_remedy(group: RunGroup) -> bool:
        conditions, (first, *others) = group.conditions, group.configurations
        key = (first.identity, common_conditions(conditions), conditions.description)
        return not others and key in remedies

    return {group.conditions: group for group in groups if is_remedy(group)}


def unpaired_variants(study: Study, groups: Sequence[RunGroup]) -> list[KeptApart]:
    """Report the variants whose runs have no runs of the reference under the same conditions.

    Each comes with the differences from the nearest runs of the reference.
    """
    reference = study.reference_variant
    plain = [
        (common_conditions(group.conditions), configuration.identity)
        for group in groups
        if study.holds(group.conditions, reference)
        for configuration in group.configurations
    ]
    unpaired = []
    for variant, group in itertools.product(study.variants, groups):
        # A variant without assignments is the task as it is, whose runs need not belong to the study.
        if variant is reference or not variant.assignments or not study.holds(group.conditions, variant):
            continue
        ours = common_conditions(group.conditions)
        for configuration in group.configurations:
            theirs = [conditions for conditions, identity in plain if identity == configuration.identity]
            if ours not in theirs:
                nearest = min(map(ours.differences, theirs), key=len, default=[])
                facts = group.conditions.task, group.title, (configuration.name,), len(configuration.runs)
                reason = f"{variant.name} has no {reference.name} runs under these conditions"
                unpaired.append(KeptApart(*facts, reason, tuple(nearest)))
    return unpaired
