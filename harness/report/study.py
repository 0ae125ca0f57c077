"""The result of one study for the terminal."""

from harness.analysis.findings import Findings
from harness.analysis.grouping import group_runs
from harness.analysis.run_curves import Run
from harness.analysis.study import Study
from harness.analysis.study_effects import study_findings
from harness.analysis.study_records import study_records
from harness.analysis.unpaired_remedies import unpaired_remedies
from harness.report.terminal import terminal_width
from harness.report.text import findings_text
from harness.runs.store import Store


def study_text(study: Study, store: Store) -> str:
    """The findings of this study alone, from its runs in the store."""
    findings = _alone(study, store)
    if not findings.studies:
        return "No plain run has succeeded yet: there is nothing to compare the remedies with."
    return findings_text(findings, terminal_width())


def study_page(study: Study, store: Store) -> str:
    """The same as a page.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    from harness.report.page import html_report

    return html_report(_alone(study, store))


def _alone(study: Study, store: Store) -> Findings:
    ordered = group_runs(map(Run.of, study_records(study, store)))
    unpaired = unpaired_remedies(study, ordered.groups)
    return Findings([], study_findings(study, ordered.groups), ordered.left_out, [*unpaired])
