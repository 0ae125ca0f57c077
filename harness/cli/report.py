"""``harness report``: findings as a page, as Markdown, as a table of runs, or as a notebook."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import click

from harness.analysis.findings import Findings, read_findings
from harness.analysis.selection import Selection, no_garbage_collection
from harness.cli.selection_options import selection_options, tell_unreadable
from harness.errors import HarnessError, UsageError

_T = TypeVar("_T")
_FORMS = (".html", ".md", ".csv", ".parquet", ".ipynb")


@click.command(short_help="Write findings as HTML, Markdown, a table or a notebook.")
@selection_options
@click.option(
    "--to",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; its ending says what: .html, .md (SVG beside it), .csv, .parquet, .ipynb.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    selection: tuple[str, ...],
    results: Path,
    margin: float | None,
    target: float | None,
    path: Path,
) -> None:
    """Write what the records say. SELECTION is as in `harness compare`.

    .html is one file that opens offline. .csv and .parquet hold a row a run. Exit code: 0, or 1 where
    a file could not be read and was skipped, 2 where nothing is selected.
    """
    if path.suffix not in _FORMS:
        raise UsageError(f"--to {path}: the ending says what to write: {', '.join(_FORMS)}")
    with no_garbage_collection():
        if path.suffix in {".csv", ".parquet"}:
            unreadable = _carried_out(path, lambda: _write_runs(selection, results, path))
        else:
            findings = read_findings(selection, results, margin, target)
            unreadable = findings.unreadable
            settings = {"results": str(results), "margin": margin, "target": target}
            _carried_out(path, lambda: _write_findings(findings, path, selection, settings))
    click.echo(path)
    ctx.exit(tell_unreadable(unreadable))


def _write_findings(
    findings: Findings, path: Path, arguments: tuple[str, ...], settings: Mapping[str, object]
) -> None:
    if path.suffix == ".html":
        from harness.report.page import html_report

        path.write_text(html_report(findings), "utf-8")
    elif path.suffix == ".md":
        from harness.report.markdown import write_markdown

        write_markdown(findings, path)
    else:
        from harness.report.notebook import write_notebook

        write_notebook(findings, path, arguments, settings)


def _write_runs(arguments: tuple[str, ...], results: Path, path: Path) -> list[str]:
    """A row a run, read one at a time; the files that could not be read."""
    from harness.runs.frames import runs_frame

    selection = Selection(arguments, results)
    frame = runs_frame(selection)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return selection.unreadable


def _carried_out(path: Path, write: Callable[[], _T]) -> _T:
    """What ``write`` gives.

    Raises:
        UsageError: a library that it needs is not installed.
        HarnessError: the file cannot be written.
    """
    try:
        return write()
    except ImportError as error:
        raise UsageError(
            f'--to {path.name} needs what the extra "report" brings ({error.name or error}): '
            'pip install "dl-harness[report]"'
        ) from error
    except OSError as error:
        raise HarnessError(f"{path} cannot be written: {error.strerror or error}") from error
