"""``harness explain``: which inputs the outputs of recorded networks depend on."""

from pathlib import Path
from typing import Any

import click

from harness.analysis.results import named_run
from harness.cli import completion, options
from harness.cli.printing import echo
from harness.cli.progress import LiveLine
from harness.errors import HarnessError, UsageError
from harness.machine.description import default_threads
from harness.plugins.configuration import Configuration
from harness.plugins.selection import select_backend
from harness.report.explanations import ExplainedRun, explanations_document
from harness.report.files import require_folder, write_text
from harness.report.render.terminal import terminal_text
from harness.runs.trained import explain_weights, weights_path

_FORMATS = (".html", ".md")


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
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("explanations.html"),
    show_default=True,
    help="The page: .html, or .md.",
)
@options.device
@options.threads
@options.results
@options.quiet
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Show which inputs the outputs of recorded networks depend on, on a page.

    RECORD is a run that was made with `harness run --save-weights`: a file, an id, the beginning of an id, or
    last (the newest run). Explained are right answers and the most confident errors on the test data: heat
    maps beside pictures, bars along series and tables, coloured characters of texts.

    Each backend loads the same weights and computes in float64; default: that of the run. Its gradients must
    agree with the reference of the harness, and the maps of all backends with one another, to 1e-9.

    \b
      harness run --backend torch --task cnn --save-weights
      harness explain last --backend torch,keras,jax

    Exit code: 0, 1 if gradients are wrong or maps differ, 2 if the input is wrong, a run has no weights, or a
    backend has no gradients of inputs.
    """  # noqa: D301  click's mark for lines that it must not wrap
    target: Path = given["target"]
    if target.suffix not in _FORMATS:
        raise UsageError(f"--to {target}: the ending must be one of {', '.join(_FORMATS)}")
    require_folder(target)
    named = [named_run(given["results"], name) for name in given["names"]]
    for record, path in named:
        weights_path(record, path.parent, best=True)  # refuses before any framework is asked
    runs = []
    line = LiveLine(quiet=given["quiet"])
    try:
        for record, path in named:
            asked = [
                Configuration(
                    selection.backend.name,
                    selection.mode(record.task.description),
                    given["device"],
                    given["threads"] or default_threads(),
                    "float64",
                )
                for selection in map(select_backend, given["backends"] or [record.configuration.label])
            ]
            best = given["which"] == "best"
            line.show(f"explaining {record.task.name} with {', '.join(each.label for each in asked)}")
            found = list(explain_weights(record, path.parent, asked, best=best))
            runs.append(ExplainedRun(record, given["which"], found))
    finally:
        line.stop()
    document = explanations_document(runs)
    echo(terminal_text(document))
    _write(target, document)
    ctx.exit(int(not all(run.agrees for run in runs)))


def _write(target: Path, document: Any) -> None:
    try:
        if target.suffix == ".html":
            from harness.report.render.html import html_page

            text = html_page(document)
        else:
            from harness.report.render.markdown import markdown

            text = markdown(document)
        write_text(target, text)
    except ImportError as error:
        raise UsageError(
            f'--to {target.name} needs the extra "report" ({error.name or error} is missing): '
            'pip install "dl-harness[report]"'
        ) from error
    except OSError as error:
        raise HarnessError(f"cannot write {target}: {error.strerror or error}") from error
    echo(f"Page: {target}")
