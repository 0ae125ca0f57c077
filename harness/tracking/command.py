"""``harness export``: recorded runs in other tools."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.core.runs.selection import Selection
from harness.core.shell import options
from harness.core.shell.completion import RECORD
from harness.core.shell.console import LiveLine
from harness.core.shell.features import records
from harness.core.shell.options import report_unreadable
from harness.core.shell.printing import echo
from harness.errors import HarnessError
from harness.tracking import tensorboard_runs
from harness.tracking.mlflow_runs import MlflowTool
from harness.tracking.tool import Tool, reason, send

_selection = click.argument("selection", nargs=-1, shell_complete=RECORD)


@click.group()
def command() -> None:
    """Show recorded runs in MLflow or TensorBoard.

    Runs that a tool already has are not added twice.
    """


@command.command("mlflow")
@_selection
@click.option(
    "--uri", metavar="URI", help="Tracking URI. Default: MLFLOW_TRACKING_URI, or MLflow's own default."
)
@click.option(
    "--experiment",
    metavar="NAME",
    help="Experiment. Default: that of MLFLOW_EXPERIMENT_NAME, or harness.",
)
@options.results
@options.quiet
@click.pass_context
def to_mlflow(
    ctx: click.Context,
    /,
    selection: tuple[str, ...],
    uri: str | None,
    experiment: str | None,
    results: Path,
    quiet: bool,
) -> None:
    """Add runs to MLflow: parameters, metrics, tags, the record and its images.

    SELECTION names records, folders or filters such as task=cnn or since=2d. Default: all runs in the results
    folder. Runs that MLflow already has are not added twice; partial ones are completed.

    \b
      harness export mlflow
      harness export mlflow last --uri http://localhost:5000 --experiment cnn

    Exit code: 0, 1 if a record is unreadable or MLflow fails, 2 if the input is wrong.
    """  # noqa: D301  click's mark for lines that it must not wrap
    ctx.exit(_export(MlflowTool(uri, experiment), selection, results, quiet=quiet))


@command.command("tensorboard")
@_selection
@options.results
@options.quiet
@click.pass_context
def to_tensorboard(ctx: click.Context, /, selection: tuple[str, ...], results: Path, quiet: bool) -> None:
    """Write TensorBoard's event files, a folder for each run, to the folder tensorboard of the results.

    SELECTION is as in `harness export mlflow`. Files of an earlier export are replaced.

    \b
      harness export tensorboard task=cnn
      tensorboard --logdir results/tensorboard

    Exit code: 0, 1 if a record is unreadable or a file cannot be written, 2 if the input is wrong.
    """  # noqa: D301  click's mark for lines that it must not wrap
    tool = tensorboard_runs.tool(results)
    ctx.exit(_export(tool, selection, results, quiet=quiet))


def _export(tool: Tool, arguments: Sequence[str], results: Path, *, quiet: bool) -> int:
    """Send the runs one by one and print how many were added; return the exit code."""
    selection = Selection(arguments, results, records())
    added = known = 0
    try:
        with LiveLine(quiet=quiet) as line:
            tool.connect()
            for path, record in selection.with_paths():
                line.show(f"{added + known + 1} of {len(selection.paths)}: {record.id}")
                if send(tool, record, path):
                    added += 1
                else:
                    known += 1
    except HarnessError:
        raise
    except Exception as error:
        message = f"{tool.name} at {tool.place}: {reason(error)}. Runs added before: {added}."
        raise HarnessError(message) from error
    present = f"; {known} already present" if known else ""
    echo(f"{added} run{'s' * (added != 1)} added to {tool.name} at {tool.place}{present}")
    return report_unreadable(selection.unreadable)
