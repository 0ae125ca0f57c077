"""Everything that a set of runs says, ready to be written in whatever form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from harness.analysis.comparability import Section, sort_runs
from harness.analysis.comparison import Comparison, compare
from harness.analysis.overfit import GapDifference, Overfitting, gap_differences, overfitting
from harness.analysis.run_curves import Run
from harness.analysis.selection import Selection
from harness.analysis.study import Study, read_studies
from harness.analysis.study_effects import StudyFinding, study_findings, unpaired
from harness.duel.files import read_duels
from harness.duel.record import DuelRecord


class SectionFindings(NamedTuple):
    """One setting: its sides against each other, and how each of them overfits."""

    comparison: Comparison
    overfittings: list[Overfitting]
    gaps: list[GapDifference]


@dataclass(frozen=True, slots=True)
class Findings:
    """What is said, and what could not be: sentences for what was left out, kept apart or unreadable."""

    sections: list[SectionFindings]
    studies: list[StudyFinding]
    left_out: list[str]
    kept_apart: list[str]
    unreadable: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[Run]:
        """Every run that was used, once."""
        runs = [
            run for found in self.sections for side in found.comparison.section.sides for run in side.runs
        ]
        runs += [run for study in self.studies for run in study.runs]
        return list({run.record.id: run for run in runs}.values())


def find(
    runs: Iterable[Run],
    studies: Sequence[Study] = (),
    margin: float | None = None,
    target: float | None = None,
    duels: Sequence[DuelRecord] = (),
) -> Findings:
    """Compare the runs and read their curves; ``margin``, ``target`` and ``duels`` as in :func:`compare`.

    What a study tells of, changed in its task, is told of there alone, but for how sides compare in it.
    """
    ordered = sort_runs(runs)
    found = [finding for study in studies for finding in study_findings(study, ordered.sections)]
    remedies = {
        (finding.side.identity, finding.section.setting.surroundings, variant.description)
        for finding in found
        for variant in finding.study.variants[1:]
        if variant.assignments
    }

    def told(section: Section) -> bool:
        setting, (side, *others) = section.setting, section.sides
        return not others and (side.identity, setting.surroundings, setting.description) in remedies

    alone = [sentence for study in studies for sentence in unpaired(study, ordered.sections)]
    shown = [section for section in ordered.sections if not told(section)]
    return Findings(
        [_section(section, margin, target, duels) for section in shown],
        found,
        ordered.left_out,
        [*alone, *ordered.kept_apart],
    )


def read_findings(
    arguments: Sequence[str], results: Path, margin: float | None = None, target: float | None = None
) -> Findings:
    """What the selected records say, with the studies and duels of the results folder.

    Raises:
        UsageError: nothing is selected.
    """
    selection = Selection(arguments, results)
    studies, broken = read_studies(results)
    duels, foreign = read_duels(results)
    # Many small products: threads would wait for one another longer than they work.
    with threadpool_limits(1, user_api="blas"):
        findings = find((Run.of(record) for record in selection), studies, margin, target, duels)
    findings.unreadable.extend([*selection.unreadable, *broken, *foreign])
    return findings


def _section(
    section: Section, margin: float | None, target: float | None, duels: Sequence[DuelRecord]
) -> SectionFindings:
    read = [overfitting(section, side) for side in section.sides]
    return SectionFindings(
        compare(section, margin, target, duels),
        [one for one in read if one is not None],
        gap_differences(section, margin),
    )
