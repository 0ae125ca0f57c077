"""``harness report``: findings, or one duel, gate or study, as a page or in other forms."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.core.documents.files import require_folder, write_text
from harness.core.documents.find import Result, separated
from harness.core.documents.views import VIEWS
from harness.core.shell.ending import write_document, writing
from harness.core.shell.options import report_unreadable, selection_options
from harness.core.shell.printing import echo
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.learning.runs.findings import Findings

_TABLES = (".csv", ".parquet")
_FORMATS = (".html", ".md", *_TABLES, ".ipynb", ".tex")


@click.command()
@selection_options
@click.option(
    "--to",
    "targets",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="File to write; repeatable. Its suffix is the format: .html, .md (with SVG files next to it), .csv, "
    ".parquet, .ipynb, .tex (tables and method, with a .bib file next to it). Without a suffix: a folder, "
    "for every chart as SVG, PNG and, as a slide, PDF.",
)
@click.pass_context
def command(
    ctx: click.Context, /, selection: tuple[str, ...], results: Path, targets: tuple[Path, ...], **given: Any
) -> None:
    """Write the findings to files: speed, quality, overfitting, studies; or one duel, gate or study.

    .html is a single file that opens offline. .csv and .parquet hold one row for each run. SELECTION is as
    in `harness compare`, or names one duel, gate or study, which is written as .html or .md.

    \b
      harness report --to report.html
      harness report last --to duel.html

    Exit code: 0; 1 if a file could not be read and was skipped; 2 if nothing is selected.
    """  # noqa: D301  click's mark for lines that it must not wrap
    paths = list(dict.fromkeys(targets))
    others, remaining = separated(selection, results)
    if others:
        _write_one(others, remaining, paths)
        return
    for path in paths:
        _refuse_other_formats(path)
        require_folder(path)
    unreadable = _write_all(paths, selection, results, given)
    ctx.exit(report_unreadable(unreadable))


def _refuse_other_formats(path: Path) -> None:
    if path.suffix and path.is_dir():
        raise UsageError(f"--to {path} is a folder; give a file in it, or a folder without a suffix")
    if path.suffix and path.suffix not in _FORMATS:
        formats = ", ".join(_FORMATS)
        raise UsageError(
            f"--to {path}: unknown suffix {path.suffix!r}; use one of {formats}, or none for a folder"
        )


def _write_all(
    paths: list[Path], selection: tuple[str, ...], results: Path, options: Mapping[str, Any]
) -> list[str]:
    """Write each path and print its name; messages about files that could not be read, each once.

    Findings are computed once for all paths, and not at all for tables of runs.
    """
    from harness.core.runs.selection import no_garbage_collection
    from harness.learning.runs.findings import read_findings  # NumPy is behind it

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


def _write_one(others: list[Result], remaining: list[str], paths: list[Path]) -> None:
    """Write a duel, a gate or a study to each path, and print the paths."""
    result = others[0]
    if remaining or len(others) > 1:
        names = ", ".join([*(f"{each.kind.name} {each.path.stem}" for each in others), *remaining])
        raise UsageError(f"a report is of one duel, gate or study, or of any number of runs, not of {names}")
    files = VIEWS[result.kind.name].files
    for path in paths:
        if path.suffix not in files:
            raise UsageError(f"--to {path}: a {result.kind.name} is written as {' or '.join(files)}")
        require_folder(path)
    record = result.kind.read(result.path)
    for path in paths:
        with writing(path):
            write_text(path, files[path.suffix](record, result.path))
        echo(str(path))


def _write_findings(
    findings: "Findings", path: Path, selection: tuple[str, ...], arguments: Mapping[str, object]
) -> None:
    if not path.suffix:
        from harness.learning.runs.charts import write_folder

        write_folder(findings, path)
        return
    from harness.learning.runs.page import findings_document

    if path.suffix == ".html":
        write_document(findings_document(findings), path)
    elif path.suffix == ".md":
        from harness.core.documents.render.markdown import write_markdown

        write_markdown(findings_document(findings), path)
    elif path.suffix == ".tex":
        from harness.learning.runs.paper import write_paper

        write_paper(findings, path)
    else:
        from harness.learning.runs.report import write_notebook

        write_notebook(findings, path, selection, arguments)


def _write_runs(arguments: tuple[str, ...], results: Path, path: Path) -> list[str]:
    """Write one row for each run, read one at a time; messages about files that could not be read."""
    from harness.core.runs.selection import Selection
    from harness.learning.runs.report import write_table
    from harness.learning.runs.run_frames import runs_frame

    selection = Selection(arguments, results)
    write_table(runs_frame(selection), path)
    return selection.unreadable
