"""``harness report``: one record, or the findings about several runs, as a page or in other forms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from harness.core.documents.files import write_text
from harness.core.documents.find import Result
from harness.core.runs.store import RUNS
from harness.core.shell.ending import writing
from harness.core.shell.features import hooked, records
from harness.core.shell.options import plugin, report_unreadable, selection_options
from harness.core.shell.parameters import split_names
from harness.core.shell.paths import Output
from harness.core.shell.printing import echo
from harness.errors import UsageError


@click.command()
@selection_options
@click.option(
    "--to",
    "targets",
    required=True,
    multiple=True,
    type=Output(),
    help="File to write; repeatable. Its suffix is the format: .html, .md (with SVG files next to it), .csv, "
    ".parquet, .tex (tables, with a .bib file next to it). Without a suffix: a folder, for every chart as "
    "SVG and PNG; it is new, empty, or from an earlier report.",
)
@click.option(
    "--columns",
    multiple=True,
    callback=split_names,
    metavar="NAME[,NAME]",
    help="Write these columns of .tex, .csv and .parquet, in this order. In .tex, name them as printed, with "
    "or without the unit: seeds, step, 'test accuracy'; the first column stays.",
)
@plugin
@click.pass_context
def command(
    ctx: click.Context, /, selection: tuple[str, ...], results: Path, targets: tuple[Path, ...], **given: Any
) -> None:
    """Write the findings to files: speed, quality, overfitting, studies; or one record of another kind.

    .html is a single file that opens offline. .csv and .parquet hold one row for each run. SELECTION is
    as in `harness compare`, or names one record of a duel, a gate, a study or another kind, which is written
    as .html or .md.

    \b
      harness report --to report.html
      harness report last --to duel.html
      harness report task=cnn --to table.tex --columns seeds,step --label torch:eager=PyTorch

    Exit code: 0; 1 if a file could not be read and was skipped; 2 if nothing is selected.
    """  # noqa: D301  click's mark for lines that it must not wrap
    paths = list(dict.fromkeys(targets))
    others, remaining = records().separated(RUNS, selection, results)
    if others:
        kind = others[0].kind.name
        if wrong := [each.opts[0] for each in ctx.command.params if given.get(each.name or "")]:
            raise UsageError(f"{wrong[0]} is for reports of runs, not for one {kind}")
        _write_one(others, remaining, paths)
        return
    reports = hooked("run_report")
    if not reports:  # a core without families: one run at a time
        named = selection or ("last",)
        runs = [
            records().last(results)[0] if name == "last" else records().find(results, name) for name in named
        ]
        _write_one(runs, [], paths)
        return
    report = reports[0]
    for path in paths:
        _refuse_other_formats(path, report.FORMATS)
    unreadable = report.write(paths, selection, results, given)
    ctx.exit(report_unreadable(unreadable))


def _refuse_other_formats(path: Path, known: Sequence[str]) -> None:
    if path.suffix and path.suffix not in known:
        formats = ", ".join(known)
        raise UsageError(
            f"--to {path}: unknown suffix {path.suffix!r}; use one of {formats}, or none for a folder"
        )


def _write_one(others: list[Result], remaining: list[str], paths: list[Path]) -> None:
    """Write the record of a result to each path, and print the paths."""
    result = others[0]
    if remaining or len(others) > 1:
        names = ", ".join([*(f"{each.kind.name} {each.path.stem}" for each in others), *remaining])
        raise UsageError(f"a report is of one record, or of any number of runs, not of {names}")
    suffixes = result.kind.suffixes
    for path in paths:
        if path.suffix not in suffixes:
            raise UsageError(f"--to {path}: a {result.kind.name} is written as {' or '.join(suffixes)}")
    record = result.kind.read(result.path)
    for path in paths:
        with writing(path):
            write_text(path, result.kind.file_of(record, result.path, path.suffix))
        echo(str(path))
