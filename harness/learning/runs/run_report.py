"""The report of several runs as files: a page, tables, or a folder of charts."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.documents.files import write_text
from harness.core.documents.render.markdown import write_markdown
from harness.core.runs.selection import Selection, no_garbage_collection
from harness.core.shell.ending import write_document, writing
from harness.core.shell.features import records
from harness.core.shell.printing import echo
from harness.learning.runs.findings import Findings, read_findings
from harness.learning.runs.folder import write_folder
from harness.learning.runs.page import findings_document
from harness.learning.runs.paper import write_paper

#: The suffixes of files that can be written.
FORMATS = (".html", ".md", ".csv", ".tex")


def write(
    paths: list[Path], selection: tuple[str, ...], results: Path, options: Mapping[str, Any]
) -> list[str]:
    """Write each path and print its name; returns a message for each file that could not be read.

    Findings are computed once for all paths, and not at all for tables of runs.
    """
    unreadable: list[str] = []
    findings: Findings | None = None
    with no_garbage_collection():
        for path in paths:
            with writing(path):
                if path.suffix == ".csv":
                    unreadable += _write_runs(selection, results, path)
                else:
                    findings = findings or read_findings(selection, results, **options)
                    unreadable += findings.unreadable
                    _write_findings(findings, path)
            echo(str(path))
        gc.freeze()  # the process ends here, and a search of all records for cycles would only take time
    return list(dict.fromkeys(unreadable))


def _write_findings(findings: Findings, path: Path) -> None:
    if not path.suffix:
        write_folder(findings, path)
    elif path.suffix == ".html":
        write_document(findings_document(findings), path)
    elif path.suffix == ".md":
        write_markdown(findings_document(findings), path)
    else:
        write_paper(findings, path)


def _write_runs(arguments: tuple[str, ...], results: Path, path: Path) -> list[str]:
    """Write one row for each run, read one at a time; returns a message for each unreadable file."""
    from harness.core.runs.frames import runs_frame  # pandas takes longer than a page

    selection = Selection(arguments, results, records())
    write_text(path, runs_frame(selection).to_csv(index=False))
    return selection.unreadable
