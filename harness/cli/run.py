"""``harness run``: every backend, task and seed in a fresh process, one after the other."""

from typing import Any

import click
import msgspec
from click.core import ParameterSource

from harness.cli import evaluation_options, executor_options, options, several_options, tracking_options
from harness.cli.data_progress import shown_progress
from harness.cli.executor_options import on_cluster
from harness.cli.fastest_modes import in_fastest_modes
from harness.cli.own_model import model_options, with_own_model
from harness.cli.printing import echo, echo_json
from harness.cli.run_sequence import exit_code, run_sequence
from harness.cli.signals import interrupt_on_termination
from harness.errors import UsageError
from harness.report.matrix_words import matrix_sentence
from harness.report.mode_words import faster_modes
from harness.report.run_summary import run_summary
from harness.report.terminal import runs_table, terminal_width
from harness.runs.matrix import MatrixOptions, RunMatrix
from harness.runs.record import Record
from harness.runs.sharing import SharedRuns
from harness.runs.store import Store
from harness.tracking.tracker import Tracker


@click.command()
@options.backends()
@options.tasks
@model_options
@click.option(
    "--preset",
    type=click.Choice(["smoke"]),
    help="smoke runs every task at its smallest useful size on those of torch, keras and jax that are "
    "installed. Every other option changes or narrows it.",
)
@options.dataset
@options.epochs
@options.max_steps
@evaluation_options.evaluation
@several_options.batch_sizes
@options.seed
@options.seeds()
@options.device
@several_options.precisions
@several_options.threads
@several_options.assignments
@options.results
@tracking_options.tracking
@options.form
@options.certify
@click.option("--fresh", is_flag=True, help="Repeat runs that are already recorded, too.")
@options.timeout
@executor_options.executor
@options.verbose("Print every measurement of every run.")
@options.quiet
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train every backend on every task with every seed, and score the result on the test data.

    Options of the task, batch sizes, precisions and numbers of threads may have several values, too: every
    combination is run. Each run has a process of its own, one after the other, and leaves a record in the
    results folder. A backend without a mode runs in the one that its framework recommends for the network;
    BACKEND:best finds the fastest by a short duel, which is kept, and 'BACKEND:*' runs all.

    Runs that are already recorded are not repeated, where everything that their results depend on is the
    same. The same command therefore completes a matrix that was cut off, and several processes with one
    results folder share a matrix.

    \b
      harness run --backend torch --task cnn
      harness run --backend torch,keras,jax --task mlp,cnn --seeds 5
      harness run --backend torch --task mlp --set optimizer=adam,sgd --seeds 3
      harness run --backend torch:best,keras:best --task cnn
      harness run --preset smoke

    Exit code: 0 if every run succeeded, 1 if one failed, diverged or timed out, 2 if the input is wrong or
    a backend does not support a task, 130 after Ctrl-C (finished runs are kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    interrupt_on_termination()
    given = with_own_model(given)
    chosen = {"seeds": _seeds(ctx, given), "evaluation": evaluation_options.evaluation_of(given)}
    asked = msgspec.convert(given | chosen, MatrixOptions)
    trackers = tracking_options.trackers_of(given)
    store = Store(given["results"])
    if on_cluster(given):
        from harness.cli.cluster_run import run_on_cluster

        store.prepare()
        records = run_on_cluster(asked, store, trackers, given)
    else:
        records = _run_here(asked, store, trackers, given)
    if given["form"] == "json":
        echo_json(msgspec.json.encode({"records": records}))
    else:
        width = terminal_width()
        if given["verbose"]:
            echo(runs_table(records, width) + "\n")
        echo(run_summary(records, store.folder, width))
        ran = [(record, record.task.description, record.machine) for record in records]
        echo("".join(f"{sentence}\n" for sentence in faster_modes(ran)), nl=False)
    ctx.exit(exit_code(records))


def _run_here(
    asked: MatrixOptions, store: Store, trackers: list[Tracker], given: dict[str, Any]
) -> list[Record]:
    matrix = RunMatrix(asked)
    store.prepare()
    with shown_progress(quiet=given["quiet"]) as progress:
        requests = matrix.requests(progress)
    requests = in_fastest_modes(requests, given["results"], quiet=given["quiet"], certify=given["certify"])
    plan = matrix_sentence(matrix.axes(), len(requests))
    shared = SharedRuns(requests, store, certify=given["certify"], fresh=given["fresh"])
    return run_sequence(
        shared, store, quiet=given["quiet"], certify=given["certify"], plan=plan, trackers=trackers
    )


def _seeds(ctx: click.Context, given: dict[str, Any]) -> list[int]:
    if given["seeds"] is None:
        return [given["seed"]]
    if ctx.get_parameter_source("seed") is not ParameterSource.DEFAULT:
        raise UsageError("give --seed K for one seed or --seeds N for the seeds 0 to N-1, not both.")
    return list(range(given["seeds"]))
