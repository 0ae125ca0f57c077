"""The report as one HTML file that opens offline: findings, then evidence, then how it was measured."""

from typing import NamedTuple

from harness.analysis.findings import Findings, SectionFindings
from harness.analysis.study_effects import StudyFinding
from harness.report.charts import Colours
from harness.report.figures import Figure, colours_of, section_figures, study_figure
from harness.report.html import render
from harness.report.method import METHOD, caveats, machines
from harness.report.tables import (
    Table,
    glance_table,
    overfitting_table,
    phases_table,
    runs_list,
    sides_table,
    study_table,
)
from harness.report.words import NOTHING_FOUND, SHOWN_SECTIONS, cut, headlines

_MOST_RUNS = 300
_MOST_NOTES = 60


def html_report(findings: Findings) -> str:
    """The page."""
    told = headlines(findings)
    lead = next((answers.pop(0) for answers in told.values()), None)
    shown = findings.sections[:SHOWN_SECTIONS]
    colours = colours_of(findings)
    sections = [_section(found, f"setting-{number}", colours) for number, found in enumerate(shown, 1)]
    studies = [_study(found, f"study-{number}") for number, found in enumerate(findings.studies, 1)]
    runs = findings.runs
    return render(
        "report.html.j2",
        (figure for section in sections + studies for figure in section.figures),
        lead=lead,
        nothing=NOTHING_FOUND,
        headlines=told,
        glance=glance_table(shown) if any(len(one.comparison.sides) > 1 for one in shown) else None,
        sections=sections,
        hidden=max(0, len(findings.sections) - SHOWN_SECTIONS),
        studies=studies,
        method=METHOD,
        caveats=caveats(findings),
        machines=machines(findings),
        settings=len(findings.sections),
        left_out=cut(findings.left_out + findings.unreadable, _MOST_NOTES),
        kept_apart=cut(findings.kept_apart, _MOST_NOTES),
        runs=runs_list(runs[:_MOST_RUNS]),
        run_count=len(runs),
        dates=sorted({run.record.started_at[:10] for run in runs}),
    )


class _Section(NamedTuple):
    """A part of the page: tables by their captions, and figures."""

    title: str
    tables: dict[str, Table]
    figures: list[Figure]


def _section(found: SectionFindings, prefix: str, colours: Colours) -> _Section:
    tables = {"Sides, fastest first; mean [95 % interval]": sides_table(found.comparison)}
    if found.overfittings:
        tables["Overfitting; mean [95 % interval]"] = overfitting_table(found.overfittings)
    tables["Where the time went, mean seconds of a run"] = phases_table(found.comparison)
    return _Section(found.comparison.section.title, tables, section_figures(found, prefix, colours))


def _study(found: StudyFinding, prefix: str) -> _Section:
    title = f"Remedies for {found.study.kind}: {found.title}"
    against = found.effects[0].variant.name
    caption = f"Each against {against}, on the same seeds; mean [95 % interval, of changes for all together]"
    return _Section(title, {caption: study_table(found)}, [study_figure(found, prefix)])
