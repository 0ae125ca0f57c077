"""The report of several runs as files: a page, tables, a notebook, or a folder of charts."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.documents.render.markdown import write_markdown
from harness.core.documents.views import View
from harness.core.runs.selection import Selection, no_garbage_collection
from harness.core.shell.ending import write_document, writing
from harness.core.shell.features import records
from harness.core.shell.printing import echo
from harness.errors import UsageError, unknown_name
from harness.learning.runs.findings import Findings, read_findings
from harness.learning.runs.folder import write_folder
from harness.learning.runs.page import findings_document
from harness.learning.runs.paper import write_paper

_TABLES = (".csv", ".parquet")
#: The suffixes of files that can be written.
FORMATS = (".html", ".md", *_TABLES, ".ipynb", ".tex")


def write(
    paths: list[Path], selection: tuple[str, ...], results: Path, options: Mapping[str, Any]
) -> list[str]:
    """Write each path and print its name; returns a message for each file that could not be read.

    Findings are computed once for all paths, and not at all for tables of runs.
    """
    asked = dict(options)
    view = View(tuple(asked.pop("columns")), asked.pop("hide_busy"))
    tables = [path for path in paths if path.suffix in _TABLES]
    if tables and (asked["labels"] or asked["quality_only"] or view.hide_busy):
        raise UsageError(
            f"--to {tables[0]}: it holds the runs as they were recorded; --label, --quality-only and "
            "--hide-busy are for findings, such as .tex. --columns chooses columns of both."
        )
    unreadable: list[str] = []
    findings: Findings | None = None
    with no_garbage_collection():
        for path in paths:
            with writing(path):
                if path.suffix in _TABLES:
                    unreadable += _write_runs(selection, results, path, view)
                else:
                    findings = findings or read_findings(selection, results, **asked)
                    unreadable += findings.unreadable
                    _write_findings(findings, path, selection, {"results": str(results), **asked}, view)
            echo(str(path))
        gc.freeze()  # the process ends here, and a search of all records for cycles would only take time
    return list(dict.fromkeys(unreadable))


def _write_findings(
    findings: Findings,
    path: Path,
    selection: tuple[str, ...],
    arguments: Mapping[str, object],
    view: View,
) -> None:
    if not path.suffix:
        write_folder(findings, path)
        return

    if path.suffix == ".html":
        write_document(view.document(findings_document(findings), "page"), path)
    elif path.suffix == ".md":
        write_markdown(view.document(findings_document(findings), "markdown"), path)
    elif path.suffix == ".tex":
        write_paper(findings, path, view)
    else:
        from harness.learning.runs.notebook import write_notebook  # pandas takes longer than a page

        write_notebook(findings, path, selection, arguments, view)


def _write_runs(arguments: tuple[str, ...], results: Path, path: Path, view: View) -> list[str]:
    """Write one row for each run, read one at a time; returns a message for each unreadable file."""
    from harness.core.runs.frames import runs_frame  # pandas takes longer than a page
    from harness.learning.runs.table_files import write_table

    selection = Selection(arguments, results, records())
    frame = runs_frame(selection)
    for name in view.columns:
        if name not in frame:
            raise unknown_name("column", name, map(str, frame))
    write_table(frame[list(view.columns)] if view.columns else frame, path)
    return selection.unreadable
