"""The report of several runs as files: a page, tables, a notebook, or a folder of charts."""

import gc
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.core.documents.escaping import visible
from harness.core.documents.files import write_bytes, write_text
from harness.core.documents.render.markdown import write_markdown
from harness.core.runs.frames import runs_frame
from harness.core.runs.selection import Selection, no_garbage_collection
from harness.core.shell.ending import write_document, writing
from harness.core.shell.features import records
from harness.core.shell.printing import echo
from harness.learning.runs.findings import Findings, read_findings
from harness.learning.runs.folder import write_folder
from harness.learning.runs.page import findings_document
from harness.learning.runs.paper import write_paper
from harness.learning.runs.report import Report

_TABLES = (".csv", ".parquet")
#: The suffixes of files that can be written.
FORMATS = (".html", ".md", *_TABLES, ".ipynb", ".tex")
#: By these a spreadsheet takes a text for a formula (OWASP, CSV Injection), which may run a program.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Parquet's integers have 64 bits.
_INTEGER_END = 2**63


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
                if path.suffix in _TABLES:
                    unreadable += _write_runs(selection, results, path)
                else:
                    findings = findings or read_findings(selection, results, **options)
                    unreadable += findings.unreadable
                    _write_findings(findings, path, selection, {"results": str(results), **options})
            echo(str(path))
        gc.freeze()  # the process ends here, and a search of all records for cycles would only take time
    return list(dict.fromkeys(unreadable))


def _write_findings(
    findings: Findings, path: Path, selection: tuple[str, ...], arguments: Mapping[str, object]
) -> None:
    if not path.suffix:
        write_folder(findings, path)
        return

    if path.suffix == ".html":
        write_document(findings_document(findings), path)
    elif path.suffix == ".md":
        write_markdown(findings_document(findings), path)
    elif path.suffix == ".tex":
        write_paper(findings, path)
    else:
        write_notebook(findings, path, selection, arguments)


def _write_runs(arguments: tuple[str, ...], results: Path, path: Path) -> list[str]:
    """Write one row for each run, read one at a time; returns a message for each unreadable file."""
    selection = Selection(arguments, results, records())
    write_table(runs_frame(selection), path)
    return selection.unreadable


def write_notebook(
    findings: Findings, path: Path, selection: Sequence[str], arguments: Mapping[str, Any]
) -> None:
    """Write a notebook whose first code cell reads the same selection again with these keyword arguments.

    Paths are those from the folder of the notebook, in which Jupyter runs it. A ``margin`` and a ``target``
    in points become fractions. Where tasks are measured in several units, those of the first comparison are
    taken.

    Raises:
        ImportError: the extra "report" is not installed.
        OSError: it cannot be written.
    """
    from harness.core.documents.render.notebook import Code, notebook

    factor = findings.groups[0].comparison.measure.factor if findings.groups else 1.0
    limits = {name: arguments[name] for name in ("margin", "target") if arguments.get(name) is not None}
    fractions = {name: float(f"{value / factor:.12g}") for name, value in limits.items()}
    places = {"results": _from_notebook(str(arguments["results"]), path)} if "results" in arguments else {}
    keywords = {**arguments, **places, **fractions}
    given = [f"{name}={value!r}" for name, value in keywords.items() if value is not None]
    named = [_from_notebook(name, path) if Path(name).exists() else name for name in selection]
    call = ", ".join([*map(repr, named), *given])
    report = Report(findings)
    codes = [
        Code(f"import harness\n\nreport = harness.compare({call})"),
        Code("report.configurations", report.configurations),
        Code("report.overfitting", report.overfitting),
    ]
    write_text(path, notebook(findings_document(findings), codes))


def _from_notebook(name: str, notebook: Path) -> str:
    """Return the path relative to the notebook's folder; unchanged if absolute, or on another drive."""
    if Path(name).is_absolute():
        return name
    return os.path.relpath(Path(name).resolve(), notebook.resolve().parent)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format of the suffix, ``.csv`` or ``.parquet``.

    Raises:
        ImportError: no library for Parquet is installed.
        OSError: it cannot be written.
    """
    if path.suffix == ".csv":
        write_text(path, _without_formulas(frame).to_csv(index=False))
        return
    content = io.BytesIO()
    _one_type_a_column(frame).to_parquet(content, index=False)
    write_bytes(path, content.getvalue())


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before each text, names of columns included, that would be a formula."""
    return frame.map(_as_text).rename(columns=_as_text)


def _as_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value.replace("\r", " "))  # pandas does not quote it, and it ends a row
    return f"'{text}" if value.startswith(_FORMULA_STARTS) else text


def _one_type_a_column(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert columns of mixed types to text, such as an option whose type differs between tasks."""
    mixed = [str(name) for name in frame if frame[name].dtype == object and _is_mixed(frame[name])]
    return frame.assign(**{name: frame[name].map(_option_text, na_action="ignore") for name in mixed})


def _is_mixed(column: "pd.Series[Any]") -> bool:
    values = column.dropna()
    types = set(map(type, values))
    too_large = int in types and any(abs(value) >= _INTEGER_END for value in values if type(value) is int)
    return too_large or (len(types) > 1 and not types <= {int, float})


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
