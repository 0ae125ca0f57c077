"""``harness run``: every backend, task and seed in a fresh process, one after the other."""

import sys
from collections.abc import Sequence

import click
import msgspec
from click.core import ParameterSource

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.extensions import with_work
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.request import TRIAL_SEED, RunRequest
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.runs.summary import matrix_sentence, summary_document
from harness.core.shell import features, options, run_options
from harness.core.shell.execution import conclude, exit_code, run_sequence
from harness.core.shell.executors import AskedJobs, executor_of, unjudged
from harness.core.shell.own_model import model_options, with_own_model
from harness.core.shell.printing import echo, echo_json
from harness.core.shell.progress import shown_progress
from harness.core.shell.run_options import RunOptions
from harness.errors import UsageError
from harness.spec.task import Task


@click.command()
@options.backends()
@options.tasks
@model_options
@options.choice(
    "--preset",
    of=["smoke"],
    text="smoke runs every task at its smallest useful size on whichever of torch, keras and jax are "
    "installed. Other options change or narrow it.",
)
@options.dataset
@options.epochs
@options.max_steps
@run_options.evaluation
@run_options.batch_sizes
@options.seed
@options.seeds
@options.device
@run_options.precisions
@run_options.threads
@run_options.assignments
@run_options.federated
@options.results
@options.form
@options.certify
@click.option(
    "--save-weights",
    is_flag=True,
    help="Keep the weights of the last and of the best epoch next to the record, as safetensors. A recorded "
    "run without them is repeated.",
)
@click.option("--fresh", is_flag=True, help="Also repeat runs that are already recorded.")
@options.timeout
@options.jobs
@options.executor
@options.quiet
@options.plugin
@options.given_as(RunOptions)
def command(ctx: click.Context, given: RunOptions) -> None:
    """Train every backend on every task with every seed, and score the result on the test data.

    Task options, batch sizes, precisions and thread counts may also have several values: every combination
    is run, one after the other, each in its own process, and recorded in the results folder. --jobs makes
    several at once, whose times are not judged. A backend without a mode uses the one that its framework
    recommends for the network; 'BACKEND:*' runs all modes.

    Recorded runs are not repeated while everything that affects their results is the same. Repeat a command
    to complete an interrupted matrix. Processes with the same results folder share the work.

    \b
      harness run --backend torch --task cnn
      harness run --backend torch,keras,jax --task mlp,cnn --seeds 5
      harness run --backend torch --task mlp --set optimizer=adam,sgd --seeds 3
      harness run --backend torch --task mlp --seeds 8 --jobs 4
      harness run --preset smoke

    Exit code: 0 if every run succeeded, 1 if one failed, diverged or timed out, 2 if the input is wrong or
    a backend does not support a task, 130 after Ctrl-C (finished runs are kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    given = with_own_model(run_options.with_federated(given))
    chosen = {
        "seeds": _seeds(ctx, given),
        "evaluation": run_options.evaluation_of(given),
        "command": sys.argv[1:],
    }
    asked = msgspec.convert(vars(given) | chosen, MatrixOptions)
    store, matrix = Store(given.results), RunMatrix(asked)
    store.prepare()
    with executor_of(given, AskedJobs.of(given.jobs, given.threads, given.device)) as executor:
        if executor.threads is not None:
            matrix = RunMatrix(msgspec.structs.replace(asked, threads=asked.threads or [executor.threads]))
        requests = unjudged(_requests(matrix, given), executor)
        shared = SharedRuns(
            requests, store, certify=given.certify, fresh=given.fresh, machine=executor.machine
        )
        records = run_sequence(
            shared,
            store,
            executor,
            quiet=given.quiet,
            certify=given.certify,
            plan=_plan_text(matrix, requests, given),
        )
        conclude(executor, store, records, quiet=given.quiet)
    if given.form == "json":
        echo_json(msgspec.json.encode({"records": records}))
    else:
        comparison = features.asked("run_summary", lambda summary: summary(records, store.folder))
        works = features.hooked("after_training")
        echo(terminal_text(summary_document(records, store.folder, comparison, works=works)))
    ctx.exit(exit_code(records))


def _requests(matrix: RunMatrix, given: RunOptions) -> list[RunRequest]:
    """Return the runs of a matrix, each with the work after its training."""
    with shown_progress(quiet=given.quiet) as progress:
        return with_work(matrix.requests(progress), features.places("after_training"))


def _plan_text(matrix: RunMatrix, requests: Sequence[RunRequest], given: RunOptions) -> str:
    """Describe the number of runs and the varied options; for the user's own model also its training."""
    lines = [matrix_sentence(matrix.axes(), len(requests))]
    if given.own:
        lines.append(_training_text([request.task for request in requests]))
    return "\n".join(filter(None, lines))


def _training_text(tasks: Sequence[Task]) -> str:
    """Describe what these trainings share: optimizer, learning rate, batch size and epochs."""
    settings = [
        (
            *_rule(task),
            f"batch size {task.batch_size or 'all'}",
            f"{task.epochs} epoch{'s' * (task.epochs != 1)}",
        )
        for task in tasks
    ]
    shared = [values[0] for values in zip(*settings, strict=True) if len(set(values)) == 1]
    return f"Training with {', '.join(shared)} (--set, --batch-size and --epochs change these)"


def _rule(task: Task) -> tuple[str, str]:
    """Name the optimizer and its learning rate, which one of the user's own sets itself."""
    if task.own_code and task.own_code.optimizer:
        return f"optimizer {task.own_code.optimizer.rpartition(':')[2]}", "a learning rate of its own"
    return (
        f"optimizer {task.optimizer.__struct_config__.tag}",
        f"learning rate {task.optimizer.learning_rate:g}",
    )


def _seeds(ctx: click.Context, given: RunOptions) -> list[int]:
    """Return the seeds; no seed is that of a trial, so that a trial is never mistaken for a run."""
    if given.seed == TRIAL_SEED:
        raise UsageError(f"--seed {TRIAL_SEED} is the seed of trials of studies; give another seed.")
    if given.seeds is None:
        return [given.seed]
    if ctx.get_parameter_source("seed") is not ParameterSource.DEFAULT:
        raise UsageError("give --seed K for one seed or --seeds N for the seeds 0 to N-1, not both.")
    return list(range(given.seeds))
