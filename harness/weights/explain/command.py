"""``harness explain``: which inputs the outputs of recorded networks depend on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.store import RUNS
from harness.core.runs.weights import weights_path
from harness.core.shell import completion, options
from harness.core.shell.console import LiveLine
from harness.core.shell.ending import write_document
from harness.core.shell.features import records
from harness.core.shell.paths import OutputFile
from harness.core.shell.printing import echo
from harness.errors import UsageError
from harness.weights.explain.explained import explain_weights
from harness.weights.explain.page import ExplainedRun, explanations_document

_FORMATS = (".html", ".md")


@dataclass(frozen=True, kw_only=True)
class Given:
    """The values of the parameters of ``harness explain``."""

    names: tuple[str, ...]
    backends: list[str]
    which: Literal["best", "last"]
    target: Path | None
    device: str
    threads: int | None
    results: Path
    quiet: bool


@click.command()
@click.argument("names", metavar="RECORD...", nargs=-1, required=True, shell_complete=completion.RECORD)
@options.backends()
@options.choice(
    "--weights",
    "which",
    of=("best", "last"),
    default="best",
    text="Those of the best epoch, or after the last one.",
)
@click.option(
    "--to",
    "target",
    type=OutputFile(),
    help="Also write the page with the maps: .html, or .md.",
)
@options.device
@options.threads
@options.results
@options.quiet
@options.plugin
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Show which inputs the outputs of recorded networks depend on.

    RECORD is a run that was made with `harness run --save-weights`: a file, an id, the beginning of an id, or
    last (the newest run). Explained are right answers and the most confident errors on the test data: heat
    maps beside pictures, bars along series and tables, coloured characters of texts.

    Each backend loads the same weights and computes in float64; default: that of the run. Its gradients must
    agree with the reference of the harness, and the maps of all backends with one another, to 1e-9.

    \b
      harness run --backend torch --task cnn --save-weights
      harness explain last --backend torch,keras,jax --to explanations.html

    Exit code: 0, 1 if gradients are wrong or maps differ, 2 if the input is wrong, a run has no weights, or a
    backend has no gradients of inputs.
    """  # noqa: D301  click's mark for lines that it must not wrap
    target = given.target
    if target is not None and target.suffix not in _FORMATS:
        raise UsageError(f"--to {target}: the ending must be one of {', '.join(_FORMATS)}")
    named = [records().named(RUNS, given.results, name) for name in given.names]
    for record, path in named:
        weights_path(record, path.parent, best=True)  # refuses before any framework is asked
    runs = []
    with LiveLine(quiet=given.quiet) as line:
        for record, path in named:
            names = given.backends or [record.configuration.label]
            task = record.task.description
            asked = options.configurations(names, task, given.device, given.threads, "float64")
            best = given.which == "best"
            line.show(f"explaining {record.task.name} with {', '.join(each.label for each in asked)}")
            found = list(explain_weights(record, path.parent, asked, best=best))
            runs.append(ExplainedRun(record, given.which, found))
    document = explanations_document(runs)
    echo(terminal_text(document))
    if target is not None:
        write_document(document, target)
        echo(f"Page: {target}")
    else:
        echo("Page with the maps: add --to explanations.html")
    ctx.exit(int(not all(run.agrees for run in runs)))
