"""The report of several runs as files: a page, tables, or a folder of charts."""

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.documents.files import write_bytes, write_text
from harness.core.documents.render.markdown import write_markdown
from harness.core.runs.selection import Selection, no_garbage_collection
from harness.core.shell.ending import write_document, writing
from harness.core.shell.features import records
from harness.core.shell.printing import echo
from harness.errors import UsageError, unknown_name
from harness.learning.runs.findings import Findings, read_findings
from harness.learning.runs.folder import write_folder
from harness.learning.runs.page import findings_document
from harness.learning.runs.paper import write_paper

if TYPE_CHECKING:
    import pandas as pd

_TABLES = (".csv", ".parquet")
#: The suffixes of files that can be written.
FORMATS = (".html", ".md", *_TABLES, ".tex")


def write(
    paths: list[Path], selection: tuple[str, ...], results: Path, options: Mapping[str, Any]
) -> list[str]:
    """Write each path and print its name; returns a message for each file that could not be read.

    Findings are computed once for all paths, and not at all for tables of runs.
    """
    asked = dict(options)
    columns = asked.pop("columns")
    if columns and (other := [path for path in paths if path.suffix not in {*_TABLES, ".tex"}]):
        raise UsageError(f"--columns is for .tex, .csv and .parquet, not for {other[0]}")
    unreadable: list[str] = []
    findings: Findings | None = None
    with no_garbage_collection():
        for path in paths:
            with writing(path):
                if path.suffix in _TABLES:
                    unreadable += _write_runs(selection, results, path, columns)
                else:
                    findings = findings or read_findings(selection, results, **asked)
                    unreadable += findings.unreadable
                    _write_findings(findings, path, columns)
            echo(str(path))
        gc.freeze()  # the process ends here, and a search of all records for cycles would only take time
    return list(dict.fromkeys(unreadable))


def _write_findings(findings: Findings, path: Path, columns: Sequence[str]) -> None:
    if not path.suffix:
        write_folder(findings, path)
    elif path.suffix == ".html":
        write_document(findings_document(findings), path)
    elif path.suffix == ".md":
        write_markdown(findings_document(findings), path)
    else:
        write_paper(findings, path, columns)


def _write_runs(arguments: tuple[str, ...], results: Path, path: Path, columns: Sequence[str]) -> list[str]:
    """Write one row for each run, read one at a time; returns a message for each unreadable file."""
    from harness.core.runs.frames import runs_frame  # pandas takes longer than a page

    selection = Selection(arguments, results, records())
    frame = runs_frame(selection)
    if unknown := [name for name in columns if name not in frame]:
        raise unknown_name("column", unknown[0], map(str, frame))
    if columns:
        frame = frame[list(columns)]
    if path.suffix == ".csv":
        write_text(path, frame.to_csv(index=False))
    else:
        write_bytes(path, _one_type_a_column(frame).to_parquet(index=False))
    return selection.unreadable


def _one_type_a_column(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Make texts of an option that is a number in one task and a text in another, as Parquet asks."""
    from pandas.api.types import infer_dtype

    mixed = [name for name in frame if infer_dtype(frame[name]).startswith("mixed")]
    return frame.assign(**{str(name): frame[name].astype("string") for name in mixed})
