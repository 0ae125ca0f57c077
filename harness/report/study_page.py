"""A study as a page that explains itself: what it is about, where overfitting begins, what remedies do."""

from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.study_effects import StudyFinding
from harness.report.figure import Figure
from harness.report.html import render
from harness.report.numbers import seeds
from harness.report.overfitting_tables import study_table
from harness.report.study_figures import study_figures
from harness.report.study_lesson import Lesson, answer, beginning, headline, lessons, more_data
from harness.report.table import Table

_PLAIN = ("-plain-loss", "-plain-score")
_REMEDIES = ("-losses", "-remedies")


class _Part(NamedTuple):
    """The part of one configuration."""

    id: str
    name: str
    headline: str
    overfits: bool
    answer: str
    beginning: list[str]
    plain: list[Figure]
    lessons: list[Lesson]
    remedies: list[Figure]
    more_data: str
    data: list[Figure]
    table: Table


def page_of_study(findings: Sequence[StudyFinding]) -> str:
    """The page of the findings of one study, a part for each configuration."""
    parts = [_part(study, f"part-{number}") for number, study in enumerate(findings, 1)]
    first = findings[0]
    record = first.runs[0].record
    return render(
        "study.html.j2",
        [figure for part in parts for figure in (*part.plain, *part.remedies, *part.data)],
        kind=first.study.kind,
        subject=first.group_title,
        meta=[
            ", ".join(study.configuration.name for study in findings),
            seeds(max(effect.seeds for study in findings for effect in study.effects)),
            record.machine.cpu,
            record.started_at[:10],
        ],
        parts=parts,
    )


def _part(study: StudyFinding, name: str) -> _Part:
    curves = study.curves()
    plain = curves.get(study.effects[0].variant.name)
    figures = study_figures(study, name)
    explained = plain is not None and plain.onset.epoch is not None and study.study.kind == "overfitting"
    return _Part(
        name,
        study.configuration.name,
        headline(study, plain),
        plain is not None and bool(plain.onset.epoch),
        answer(study),
        beginning(plain) if plain is not None and explained else [],
        _ending(figures, *_PLAIN),
        lessons(study, curves),
        _ending(figures, *_REMEDIES),
        more_data(study),
        _ending(figures, "-data"),
        study_table(study),
    )


def _ending(figures: Sequence[Figure], *ends: str) -> list[Figure]:
    return [figure for figure in figures if figure.name.endswith(ends)]
