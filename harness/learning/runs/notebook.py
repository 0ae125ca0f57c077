"""The report of several runs as a Jupyter notebook, which reads the same runs again."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.documents.files import write_text
from harness.core.documents.render.notebook import Code, notebook
from harness.core.documents.views import View
from harness.learning.runs.findings import Findings
from harness.learning.runs.page import findings_document
from harness.learning.runs.report import Report


def write_notebook(
    findings: Findings,
    path: Path,
    selection: Sequence[str],
    arguments: Mapping[str, Any],
    view: View = View(),  # noqa: B008  immutable
) -> None:
    """Write a notebook whose first code cell reads the same selection again with these keyword arguments.

    Paths are those from the folder of the notebook, in which Jupyter runs it. A ``margin`` and a ``target``
    in points become fractions. Where tasks are measured in several units, those of the first comparison are
    taken.
    """
    factor = findings.groups[0].comparison.measure.factor if findings.groups else 1.0
    limits = {name: arguments[name] for name in ("margin", "target") if arguments.get(name) is not None}
    fractions = {name: float(f"{value / factor:.12g}") for name, value in limits.items()}
    places = {"results": _from_notebook(str(arguments["results"]), path)} if "results" in arguments else {}
    keywords = {**arguments, **places, **fractions}
    given = [
        f"{name}={value!r}"
        for name, value in keywords.items()
        if value not in (None, {}) and value is not False
    ]
    named = [_from_notebook(name, path) if Path(name).exists() else name for name in selection]
    call = ", ".join([*map(repr, named), *given])
    report = Report(findings)
    codes = [
        Code(f"import harness\n\nreport = harness.compare({call})"),
        Code("report.configurations", report.configurations),
        Code("report.overfitting", report.overfitting),
    ]
    write_text(path, notebook(view.document(findings_document(findings), "notebook"), codes))


def _from_notebook(name: str, notebook: Path) -> str:
    """Return the path relative to the notebook's folder; unchanged if absolute, or on another drive."""
    if Path(name).is_absolute():
        return name
    return os.path.relpath(Path(name).resolve(), notebook.resolve().parent)
