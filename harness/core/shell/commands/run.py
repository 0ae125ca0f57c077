"""``harness run``: every backend, task and seed in a fresh process, one after the other."""

import contextlib
import functools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from harness.cluster.agent import FindModes
from harness.cluster.connection import Cluster, connected
from harness.cluster.dispatch import Dispatcher
from harness.cluster.nodes import RayNodes
from harness.cluster.one_node import DuelRecorder, on_one_node, write_duels
from harness.core.documents.document import Document
from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.extensions import with_work
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.page import (
    matrix_sentence,
    runs_table,
    summary_document,
)
from harness.core.runs.record import Evaluation, Record
from harness.core.runs.request import RunRequest
from harness.core.runs.sequence import Certification, execute_all
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell import features, options
from harness.core.shell.console import (
    ModeDisplay,
    RunsDisplay,
    shown_progress,
)
from harness.core.shell.ending import INTERRUPTED
from harness.core.shell.options import (
    MOST_THREADS,
    PRECISIONS,
    WholeNumber,
    number,
    on_cluster,
    together,
)
from harness.core.shell.own_model import model_options, with_own_model
from harness.core.shell.printing import (
    echo,
    echo_json,
    interrupt_on_termination,
)
from harness.errors import HarnessError, UsageError
from harness.spec.task import Task
from harness.timing.duel.fastest_mode import FastestModes, fastest_runs
from harness.timing.duel.mode_times import all_kept
from harness.timing.duel.page import faster_modes
from harness.timing.duel.record import DUELS
from harness.tracking.tracker import Tracker

# Execution of planned runs with progress, for ``harness run`` and ``harness study``.


@contextlib.contextmanager
def cluster_of(given: Mapping[str, Any]) -> Iterator[Cluster | None]:
    """The cluster that the options ask for, connected; None for this machine.

    Raises:
        UsageError: no cluster is reachable, or its nodes are unsuitable.
    """
    if not on_cluster(given):
        yield None
        return
    with connected(given["address"]) as cluster:
        interrupt_on_termination()  # Ray has replaced the handlers
        yield cluster


def run_sequence(
    shared: SharedRuns,
    store: Store,
    *,
    quiet: bool,
    certify: bool,
    on_nodes: bool,
    plan: str | None = None,
    deadline: float = math.inf,
    trackers: Sequence[Tracker] = (),
) -> list[Record]:
    """Execute the runs of a matrix that are left, each after its certificate.

    With ``on_nodes`` the nodes of the connected cluster execute the runs, without a deadline. ``plan`` is
    printed first: what the runs are; None for a part of more. ``trackers`` show them while they train.

    Raises:
        HarnessError: a record cannot be written, or no node is left.
    """
    requests = [run.request for run in shared.left]
    with shared, RunsDisplay(requests, quiet=quiet, certify=certify, on_nodes=on_nodes) as display:
        display.announce(plan, shared, trackers, store.folder)
        if on_nodes:
            datasets = [request.dataset.name for request in requests]
            with RayNodes(requests, datasets, requests if certify else ()) as nodes:
                return Dispatcher(shared, nodes, store, display).execute_all()
        notify = functools.partial(display.certificate, "")
        certification = Certification(requests, notify) if certify else None
        with certification or contextlib.nullcontext():
            return execute_all(shared, store, display, deadline, certification)


def exit_code(records: Sequence[Record]) -> int:
    """0 if all runs succeeded, 130 after an interrupt, 1 after a failure, 2 if work is unsupported."""
    statuses = {record.status for record in records}
    if "interrupted" in statuses:
        return INTERRUPTED
    if statuses & {"failed", "diverged", "timeout"}:
        return HarnessError.exit_code
    return UsageError.exit_code if "unsupported" in statuses else 0


# The options of ``harness run`` that take several values: each of them is run.

_F = TypeVar("_F", bound=Callable[..., Any])


class Several(click.ParamType[list[Any]]):
    """Values of another type, separated by commas, as a list."""

    def __init__(self, each: click.ParamType[Any]) -> None:
        self._each = each
        self.name = each.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        """Convert each part of a text; the error names the part that does not fit."""
        return [self._each.convert(part.strip(), param, ctx) for part in str(value).split(",")]


def several(*names: str, each: click.ParamType[Any], **attributes: Any) -> Callable[[_F], _F]:
    """An option that can be repeated, or given several values at once: a list without duplicates."""

    def joined(_ctx: click.Context, _parameter: click.Parameter, values: tuple[list[Any], ...]) -> list[Any]:
        return list(dict.fromkeys(value for part in values for value in part))

    return click.option(*names, multiple=True, type=Several(each), callback=joined, **attributes)


#: The values are split later, when the types of the task's options are known.
assignments = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE[,VALUE]",
    help="Task option, such as learning_rate=0.05 or optimizer=adam,sgd; repeatable. Each value is run. "
    "`harness list tasks` lists them.",
)
batch_sizes = several(
    "--batch-size",
    "batch_sizes",
    each=WholeNumber(min=1),
    metavar="N[,N]",
    help="Samples per step. Default: the task's.",
)
precisions = several(
    "--precision",
    "precisions",
    each=click.Choice(PRECISIONS),
    default=("float32",),
    show_default=True,
    metavar="NAME[,NAME]",
    help="Floating-point arithmetic: float32, float64, or bfloat16 (mixed precision).",
)
threads = several(
    "--threads",
    "threads",
    each=WholeNumber(1, MOST_THREADS),
    metavar="N[,N]",
    help="CPU threads. Default: the number of physical cores.",
)


# How often, and on how much data, a run is scored.

#: ``--eval-every``, ``--eval-samples`` and ``--no-eval``, for :func:`evaluation_of`.
evaluation = together(
    number(
        "--eval-every",
        text="Score after every N epochs and after the last. The best epoch is one of those scored. Default: "
        "every epoch.",
    ),
    number(
        "--eval-samples",
        text="Score on at most N training and N validation samples, the same in every run. The test data is "
        "always scored completely. Default: all samples.",
    ),
    click.option("--no-eval", is_flag=True, help="Score nothing, not even the test data."),
)


def evaluation_of(given: dict[str, Any]) -> Evaluation:
    """The evaluation that the options ask for.

    Raises:
        UsageError: --no-eval is combined with an option of the evaluation.
    """
    every, samples = given["eval_every"], given["eval_samples"]
    if not given["no_eval"]:
        return Evaluation(every or 1, samples)
    if every or samples:
        option = "--eval-every" if every else "--eval-samples"
        raise UsageError(f"--no-eval scores nothing; leave out {option} or --no-eval.")
    return Evaluation(every_epochs=None)


# Federated averaging, as options of a task and a number of epochs.

_FEDERATED = ("clients", "rounds", "local_epochs", "split")
_FEDERATED_FORM = "clients=N[,rounds=N][,local_epochs=N][,split=even|dirichlet:A]"
federated = click.option(
    "--federated",
    metavar=_FEDERATED_FORM,
    help="Train by federated averaging: each client has a part of the training data, split evenly, or class "
    "by class with a Dirichlet concentration A. A round is an epoch. Short for --epochs, and for --set of "
    "clients, local_epochs and dirichlet.",
)


def with_federated(given: dict[str, Any]) -> dict[str, Any]:
    """The options with the task options and the epochs that ``--federated`` stands for.

    Raises:
        UsageError: it has another form, or --epochs says something else.
    """
    text = given.pop("federated")
    if text is None:
        return given
    named = [part.partition("=")[::2] for part in text.split(",")]
    parts = dict(named)
    split = parts.pop("split", "even")
    rounds = parts.pop("rounds", None)
    kind, _, concentration = split.partition(":")
    is_split = split == "even" or (kind == "dirichlet" and concentration)
    is_count = all(value.isdecimal() and int(value) for value in (*parts.values(), *filter(None, [rounds])))
    known = {*parts} <= {*_FEDERATED} and len(parts) + bool(rounds) + (split != "even") == len(named)
    if "clients" not in parts or not known or not is_split or not is_count:
        raise UsageError(f"--federated {text}: give {_FEDERATED_FORM}, such as clients=10,rounds=20.")
    if rounds and given["epochs"]:
        raise UsageError("--federated with rounds is --epochs; leave out one of them.")
    if twice := {each.partition("=")[0] for each in given["assignments"]} & {*_FEDERATED, "dirichlet"}:
        raise UsageError(f"--federated and --set {min(twice)} say the same; leave out one of them.")
    chosen = [f"{name}={value}" for name, value in parts.items()]
    chosen += [f"dirichlet={concentration}"] * bool(concentration)
    epochs = int(rounds) if rounds else given["epochs"]
    return {**given, "assignments": (*given["assignments"], *chosen), "epochs": epochs}


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
@evaluation
@batch_sizes
@options.seed
@options.seeds
@options.device
@precisions
@threads
@assignments
@federated
@options.results
@options.tracking
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
@options.executor
@options.verbose("Print every measurement of every run.")
@options.quiet
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train every backend on every task with every seed, and score the result on the test data.

    Task options, batch sizes, precisions and thread counts may also have several values: every combination
    is run, one after the other, each in its own process, and recorded in the results folder. A backend
    without a mode uses the one that its framework recommends for the network. BACKEND:best finds the
    fastest mode by a short duel and remembers it; 'BACKEND:*' runs all modes.

    Recorded runs are not repeated while everything that affects their results is the same. Repeat a command
    to complete an interrupted matrix. Processes with the same results folder share the work.

    \b
      harness run --backend torch --task cnn
      harness run --backend torch,keras,jax --task mlp,cnn --seeds 5
      harness run --backend torch --task mlp --set optimizer=adam,sgd --seeds 3
      harness run --backend torch:best,keras:best --task cnn
      harness run --preset smoke

    Exit code: 0 if every run succeeded, 1 if one failed, diverged or timed out, 2 if the input is wrong or
    a backend does not support a task, 130 after Ctrl-C (finished runs are kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    given = with_own_model(with_federated(given))
    chosen = {"seeds": _seeds(ctx, given), "evaluation": evaluation_of(given), "command": sys.argv[1:]}
    asked = msgspec.convert(given | chosen, MatrixOptions)
    trackers = options.trackers_of(given)
    store, matrix = Store(given["results"]), RunMatrix(asked)
    store.prepare()
    with cluster_of(given) as cluster:
        if cluster is not None:
            matrix = RunMatrix(msgspec.structs.replace(asked, threads=asked.threads or [cluster.threads]))
        requests = _requests(matrix, given, on_nodes=cluster is not None)
        machine = cluster and cluster.machine
        shared = SharedRuns(requests, store, certify=given["certify"], fresh=given["fresh"], machine=machine)
        records = run_sequence(
            shared,
            store,
            quiet=given["quiet"],
            certify=given["certify"],
            on_nodes=cluster is not None,
            plan=_plan_text(matrix, requests, given),
            trackers=trackers,
        )
    if given["form"] == "json":
        echo_json(msgspec.json.encode({"records": records}))
    else:
        if given["verbose"]:
            echo(terminal_text(Document("run", "Runs", [runs_table(records)])) + "\n")
        echo(terminal_text(summary_document(records, store.folder, features.hooked("after_training"))))
        ran = [(record, record.task.description, record.machine) for record in records]
        echo("".join(f"{sentence}\n" for sentence in faster_modes(ran, [*all_kept()])), nl=False)
    ctx.exit(exit_code(records))


def _requests(matrix: RunMatrix, given: Mapping[str, Any], *, on_nodes: bool) -> list[RunRequest]:
    """The runs of a matrix; where the fastest mode is asked for, that of this machine or of one node."""
    with shown_progress(quiet=given["quiet"]) as progress:
        choices = [with_work(runs, features.places("after_training")) for runs in matrix.choices(progress)]
    if all(len(runs) == 1 for runs in choices):
        return [run for (run,) in choices]
    folder = given["results"] / DUELS.folder
    with ModeDisplay(quiet=given["quiet"]) as display:
        if not on_nodes:
            return fastest_runs(choices, FastestModes(folder, display, certify=given["certify"]))
        works = [choice[0] for choice in choices]
        datasets = [work.dataset.name for work in works]
        asked = FindModes(choices, given["certify"])
        with RayNodes(works, datasets) as nodes:
            chosen, duels = on_one_node(nodes, asked, datasets, DuelRecorder(folder, display))
    write_duels(folder, duels)
    return list(chosen)


def _plan_text(matrix: RunMatrix, requests: Sequence[RunRequest], given: dict[str, Any]) -> str:
    """The number of runs and what varies; for the user's own model also how it is trained."""
    lines = [matrix_sentence(matrix.axes(), len(requests))]
    if given["own_model"]:
        lines.append(_training_text([request.task for request in requests]))
    return "\n".join(filter(None, lines))


def _training_text(tasks: Sequence[Task]) -> str:
    """What all of these trainings share: optimizer, learning rate, batch size and epochs."""
    settings = [
        (
            f"optimizer {task.optimizer.__struct_config__.tag}",
            f"learning rate {task.optimizer.learning_rate:g}",
            f"batch size {task.batch_size or 'all'}",
            f"{task.epochs} epoch{'s' * (task.epochs != 1)}",
        )
        for task in tasks
    ]
    shared = [values[0] for values in zip(*settings, strict=True) if len(set(values)) == 1]
    return f"Training with {', '.join(shared)} (--set, --batch-size and --epochs change these)"


def _seeds(ctx: click.Context, given: dict[str, Any]) -> list[int]:
    if given["seeds"] is None:
        return [given["seed"]]
    if ctx.get_parameter_source("seed") is not ParameterSource.DEFAULT:
        raise UsageError("give --seed K for one seed or --seeds N for the seeds 0 to N-1, not both.")
    return list(range(given["seeds"]))
