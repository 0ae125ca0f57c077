"""The report as one HTML file that opens offline: findings, then evidence, then how it was measured."""

from typing import NamedTuple

from harness.findings import Findings, SectionFindings
from harness.report.figures import Figure, section_figures, study_figure
from harness.report.html import render
from harness.report.method import METHOD, caveats, machines
from harness.report.tables import Table, overfitting_table, phases_table, runs_list, sides_table, study_table
from harness.report.words import SHOWN_SECTIONS, headlines
from harness.study_effects import StudyFinding

_MOST_RUNS = 300


def html_report(findings: Findings, peak_flops: float | None = None) -> str:
    """The page."""
    sections = [
        _section(found, f"setting-{number}", peak_flops)
        for number, found in enumerate(findings.sections[:SHOWN_SECTIONS], 1)
    ]
    studies = [_study(found, f"study-{number}") for number, found in enumerate(findings.studies, 1)]
    runs = findings.runs
    return render(
        "report.html.j2",
        (figure for section in sections + studies for figure in section.figures),
        headlines=headlines(findings),
        sections=sections,
        hidden=max(0, len(findings.sections) - SHOWN_SECTIONS),
        studies=studies,
        method=METHOD,
        caveats=caveats(findings),
        machines=machines(findings),
        findings=findings,
        runs=runs_list(runs[:_MOST_RUNS]),
        run_count=len(runs),
        dates=sorted({run.record.started_at[:10] for run in runs}),
    )


class _Section(NamedTuple):
    """A part of the page: tables by their captions, and figures."""

    title: str
    tables: dict[str, Table]
    figures: list[Figure]


def _section(found: SectionFindings, prefix: str, peak_flops: float | None) -> _Section:
    tables = {"Sides, fastest first; mean [95 % interval]": sides_table(found.comparison, peak_flops)}
    if found.overfittings:
        tables["Overfitting; mean [95 % interval]"] = overfitting_table(found.overfittings)
    tables["Where the time went, mean seconds of a run"] = phases_table(found.comparison)
    return _Section(found.comparison.section.title, tables, section_figures(found, prefix))


def _study(found: StudyFinding, prefix: str) -> _Section:
    title = f"Remedies for {found.study.kind}: {found.side.name} on {found.section.title}"
    caption = "Each remedy against the plain task, on the same seeds; mean [95 % interval]"
    return _Section(title, {caption: study_table(found)}, [study_figure(found, prefix)])
