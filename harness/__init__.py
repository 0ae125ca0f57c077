"""Benchmarks of deep-learning frameworks that prove the same work first, then time it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.frames import Report
    from harness.report.notebook_html import StudyReport


def load_results(results: str | Path = "results") -> pd.DataFrame:
    """The records under ``results/runs`` as a DataFrame, one row per run, oldest first.

    A file that cannot be read is skipped with a warning that names it.
    """
    import warnings

    from harness.runs.frames import runs_frame
    from harness.runs.record import Record
    from harness.runs.store import RUNS

    records = []
    paths = RUNS.paths(Path(results))
    if not paths:
        warnings.warn(f"there are no records in {Path(results) / RUNS.folder}", stacklevel=2)
    for record in RUNS.read_each(paths):
        if isinstance(record, Record):
            records.append(record)
        else:
            warnings.warn(str(record), stacklevel=2)
    return runs_frame(records)


def compare(
    *selection: str,
    results: str | Path = "results",
    margin: float | None = None,
    target: float | None = None,
    by: str | None = None,
) -> Report:
    """The findings of ``harness compare`` as frames and charts, which a notebook displays.

    ``selection``, ``margin``, ``target`` and ``by`` are those of the command:
    ``harness.compare("task=cnn", "backend=torch,keras")``, ``harness.compare(by="optimizer")``. A file that
    cannot be read is skipped with a warning that names it.

    Raises:
        harness.errors.UsageError: nothing is selected, or nothing differs in ``by`` alone.
    """
    import warnings

    from harness.analysis.findings import read_findings
    from harness.report.frames import Report

    findings = read_findings(selection, Path(results), margin, target, by)
    for message in findings.unreadable:
        warnings.warn(message, stacklevel=2)
    return Report(findings)


def study(name: str = "", results: str | Path = "results") -> StudyReport:
    """The newest recorded study whose name begins so, which a notebook displays with its charts.

    ``harness.study("overfitting-mlp")`` reads what ``harness study overfitting --task mlp`` has recorded. It
    trains nothing.

    Raises:
        harness.errors.UsageError: there is no such study, or none of its plain runs has succeeded.
    """
    from harness.report.study import newest_study

    return newest_study(name, Path(results))
