"""The result of one study: text for the terminal, and a page."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.findings import Findings
from harness.analysis.grouping import group_runs
from harness.analysis.run_curves import Run
from harness.analysis.study import REMEDIES, STUDIES, Study, study_records
from harness.analysis.study_effects import EARLY_STOPPING, study_findings, unpaired_remedies
from harness.errors import UsageError
from harness.report.numbers import NOTHING
from harness.report.overfitting_words import REMEDY_WORDS
from harness.report.table import Table, terminal_table
from harness.report.terminal import terminal_width
from harness.report.text import findings_text
from harness.runs.store import Store

if TYPE_CHECKING:
    from harness.report.notebook import StudyReport


def studies_text() -> str:
    """The kinds of study, and of each its remedies with the options that they set and what they do."""
    early = (EARLY_STOPPING, "", REMEDY_WORDS[EARLY_STOPPING])
    parts = []
    for kind, (plain, *remedies) in REMEDIES.items():
        rows = [(plain.name, " ".join(plain.assignments), "The reference of the others.")]
        rows += [(each.name, " ".join(each.assignments), REMEDY_WORDS[each.name]) for each in remedies]
        rows += [early] * (kind == "overfitting")
        table = Table(
            ["remedy", "options", "what it does"], [[one, two or NOTHING, three] for one, two, three in rows]
        )
        parts.append(f"harness study {kind}\n{terminal_table(table, terminal_width())}")
    return "\n\n".join(parts)


def study_text(study: Study, store: Store) -> str:
    """The findings of this study alone, from its runs in the store."""
    findings = _alone(study, store)
    if not findings.studies:
        return "No plain run has succeeded yet: there is nothing to compare the remedies with."
    return findings_text(findings, terminal_width())


def study_page(study: Study, store: Store) -> str:
    """The same as a page that explains itself.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    from harness.report.page import html_report
    from harness.report.study_page import page_of_study

    findings = _alone(study, store)
    return page_of_study(findings.studies) if findings.studies else html_report(findings)


def _alone(study: Study, store: Store) -> Findings:
    ordered = group_runs(map(Run.of, study_records(study, store)))
    unpaired = unpaired_remedies(study, ordered.groups)
    return Findings([], study_findings(study, ordered.groups), ordered.left_out, [*unpaired])


def newest_study(name: str, results: Path) -> "StudyReport":
    """The newest study whose name begins with ``name``.

    Raises:
        UsageError: there is none, or none of its plain runs has succeeded.
    """
    from harness.report.notebook import StudyReport

    paths = [path for path in STUDIES.paths(results) if path.stem.startswith(name)]
    if not paths:
        known = ", ".join(path.stem for path in STUDIES.paths(results)) or "none"
        raise UsageError(
            f"no study {name!r} in {results}; recorded: {known}. Make one with: harness study overfitting "
            "--task mlp --backend torch"
        )
    study = STUDIES.read(max(paths, key=lambda path: path.stat().st_mtime))
    findings = _alone(study, Store(results)).studies
    if not findings:
        raise UsageError(f"no plain run of the study {study.id} has succeeded yet")
    return StudyReport(findings)
